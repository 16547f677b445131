import { screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';
import { answer, refuse } from '@/test/host';
import { draw } from '@/test/render';
import Members from './index';

const ZOE = {
  id: 'm1',
  number: 1,
  first_name: 'Zoé',
  last_name: 'Martin',
  email: null,
  phone: null,
  city: null,
};

async function enrol(): Promise<void> {
  await userEvent.click(screen.getByRole('button', { name: 'Inscrire' }));
  const form = within(await screen.findByRole('dialog'));
  await userEvent.type(form.getByLabelText('Prénom'), 'Zoé');
  await userEvent.type(form.getByLabelText('Nom'), 'Martin');
  await userEvent.click(form.getByRole('button', { name: 'Inscrire' }));
}

describe('members', () => {
  it('lists, and searches on the host', async () => {
    const sent = answer('GET /api/modules/members/members', ({ path }) =>
      path.includes('search=nobody')
        ? { items: [], total: 0, next: null }
        : { items: [ZOE], total: 1, next: null },
    );
    draw(<Members />);
    expect(await screen.findByText('Martin Zoé')).toBeVisible();
    await userEvent.type(screen.getByLabelText('Chercher un adhérent'), 'nobody');
    expect(await screen.findByText('Personne ne correspond à « nobody ».')).toBeVisible();
    expect(sent[0]?.path).toBe('/api/modules/members/members?search=&limit=50');
  });

  it('enrols someone although someone alike exists, once that is confirmed', async () => {
    answer('GET /api/modules/members/members', { items: [], total: 0, next: null });
    refuse('POST /api/modules/members/members', 409, 'possible_duplicate', { details: { matches: [ZOE] } });
    draw(<Members />);
    expect(await screen.findByText('Aucun adhérent')).toBeVisible();
    await enrol();
    expect(await screen.findByText(/1 · Martin Zoé/)).toBeVisible();
    const sent = answer('POST /api/modules/members/members', { ...ZOE, id: 'm2', number: 2 }, 201);
    await userEvent.click(screen.getByRole('button', { name: 'Inscrire quand même' }));
    expect(await screen.findByText('Zoé Martin est inscrit·e, numéro 2.')).toBeVisible();
    expect(sent[0]?.body).toMatchObject({ first_name: 'Zoé', last_name: 'Martin', confirm_duplicate: true });
  });
});
