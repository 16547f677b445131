import { screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, it } from 'vitest';
import { answer, refuse } from '@/test/host';
import { draw } from '@/test/render';
import type { Session } from '../api';
import { SessionPage } from './SessionPage';

const OPEN: Session = {
  id: 's1',
  register: { id: 'r1', name: 'Caisse 1' },
  operator: 'Alma',
  status: 'open',
  deferred: false,
  business_date: '2026-01-05',
  opened_at: '2026-01-05T08:00:00Z',
  closed_at: null,
  opening_float_cents: 5000,
  ticket_count: 3,
  sales_cents: 8970,
  donations_cents: 300,
  total_cents: 9270,
  payments: { cash: 3970, card: 5300, check: 0 },
  theoretical_cash_cents: 8970,
  counted_cash_cents: null,
  variance_cents: null,
  variance_comment: '',
};

describe('closing a session', () => {
  beforeEach(() => {
    answer('GET /api/modules/caisse/sessions/s1', OPEN);
    answer('GET /api/modules/caisse/sessions/s1/tickets', []);
    draw(<SessionPage session="s1" />);
  });

  const count = async (text: string): Promise<void> =>
    userEvent.type(await screen.findByLabelText('Espèces comptées dans le tiroir'), text);
  const close = (): Promise<void> =>
    userEvent.click(screen.getByRole('button', { name: 'Fermer la session' }));

  it('closes with a count that is exact', async () => {
    const sent = answer('POST /api/modules/caisse/sessions/s1/close', {
      ...OPEN,
      status: 'closed',
      closed_at: '2026-01-05T18:00:00Z',
      counted_cash_cents: 8970,
      variance_cents: 0,
    });
    await count('89,70');
    expect(screen.getByText('Le compte est juste.')).toBeVisible();
    expect(screen.queryByLabelText(/Commentaire/)).toBeNull();
    await close();
    expect(await screen.findByText(/La session est fermée/)).toBeVisible();
    expect(sent[0]?.body).toEqual({ counted_cash_cents: 8970, variance_comment: '' });
  });

  it('asks for a comment on a large variance before it sends anything', async () => {
    const sent = answer('POST /api/modules/caisse/sessions/s1/close', {});
    await count('88,30');
    expect(screen.getByText(/-1,40\s€/)).toBeVisible();
    await close();
    expect(await screen.findByText('L’écart doit être commenté.')).toBeVisible();
    expect(sent).toEqual([]);
  });

  it('asks for a comment when the host wants one for less', async () => {
    refuse('POST /api/modules/caisse/sessions/s1/close', 422, 'variance_comment_required');
    await count('89,68');
    expect(screen.queryByLabelText(/Commentaire/)).toBeNull();
    await close();
    expect(await screen.findByLabelText(/Commentaire/)).toBeVisible();
    expect(screen.getByRole('alert')).toHaveTextContent('sans commentaire');
  });

  it('refuses an empty or unreadable count', async () => {
    await screen.findByLabelText('Espèces comptées dans le tiroir');
    await close();
    expect(await screen.findByText('À remplir.')).toBeVisible();
    await count('beaucoup');
    await close();
    expect(await screen.findByText(/Montant illisible/)).toBeVisible();
  });

  it('adds up coins and notes', async () => {
    await screen.findByLabelText('Espèces comptées dans le tiroir');
    await userEvent.click(screen.getByText('Compter pièces et billets'));
    await userEvent.type(screen.getByLabelText(/Nombre de 20,00/), '4');
    await userEvent.type(screen.getByLabelText(/Nombre de 0,50/), '3');
    expect(screen.getByLabelText('Espèces comptées dans le tiroir')).toHaveValue('81,50');
  });
});
