import { screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';
import { answer, refuse } from '@/test/host';
import { draw } from '@/test/render';
import type { ImportLine } from '../api';
import { HeldLine } from './HeldLine';

const LINE: ImportLine = {
  line: 27,
  status: 'held',
  reasons: ['price_missing', 'brand_new_reason'],
  notices: [],
  date: '2025-09-26',
  kind: 'sale',
  category: 'Textile',
  label: 'Vêtements',
  weight_grams: 1790,
  price_cents: null,
  method: 'cash',
  notes: 'cahier p.1',
  ticket_id: null,
  decided_by: null,
  decision_reason: '',
};
const URL = 'POST /api/modules/caisse/imports/i1/lines/27';

describe('a held line', () => {
  it('says why it waits, also for a reason that this build does not know', () => {
    draw(<HeldLine report="i1" line={LINE} />);
    expect(screen.getByText('Prix manquant')).toBeVisible();
    expect(screen.getByText('À vérifier (brand_new_reason)')).toBeVisible();
  });

  it('is booked with what was decided', async () => {
    const sent = answer(URL, {});
    draw(<HeldLine report="i1" line={LINE} />);
    await userEvent.click(screen.getByRole('button', { name: 'Enregistrer' }));
    expect(await screen.findByText('À remplir.')).toBeVisible();
    expect(sent).toEqual([]);
    await userEvent.type(screen.getByLabelText('Prix'), '4,5');
    await userEvent.click(screen.getByRole('button', { name: 'Enregistrer' }));
    await waitFor(() => expect(sent).toHaveLength(1));
    expect(sent[0]?.body).toEqual({
      decision: 'book',
      date: '2025-09-26',
      kind: 'sale',
      method: 'cash',
      category: 'Textile',
      label: 'Vêtements',
      weight_grams: 1790,
      price_cents: 450,
      reason: '',
    });
  });

  it('is discarded with a reason only', async () => {
    const sent = answer(URL, {});
    draw(<HeldLine report="i1" line={LINE} />);
    await userEvent.click(screen.getByRole('button', { name: 'Écarter' }));
    expect(await screen.findByText('Dites pourquoi la ligne est écartée.')).toBeVisible();
    await userEvent.type(screen.getByLabelText(/Raison/), 'notée deux fois');
    await userEvent.click(screen.getByRole('button', { name: 'Écarter' }));
    await waitFor(() => expect(sent[0]?.body).toEqual({ decision: 'discard', reason: 'notée deux fois' }));
  });

  it('shows beside the field what the host still misses', async () => {
    refuse(URL, 422, 'decision_incomplete', { fields: [{ path: 'date', message: 'date_in_future' }] });
    draw(<HeldLine report="i1" line={{ ...LINE, price_cents: 100 }} />);
    await userEvent.click(screen.getByRole('button', { name: 'Enregistrer' }));
    expect(await screen.findByRole('alert')).toBeVisible();
    expect(screen.getByLabelText('Date de la vente')).toBeInvalid();
  });
});
