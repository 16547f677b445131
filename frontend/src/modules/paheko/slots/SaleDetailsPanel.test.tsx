import { act, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, it } from 'vitest';
import { setLocale } from '@/core/i18n';
import { answer, refuse } from '@/test/host';
import { draw } from '@/test/render';
import type { Entry } from '../api';
import SaleDetailsPanel from './SaleDetailsPanel';

const ENTRY: Entry = {
  session_id: 's1',
  reference: 'RECYCLIC-session-s1',
  state: 'written',
  transaction_id: 7,
  url: 'http://paheko.example/acc/7',
  amount_cents: 9270,
  attempts: 1,
  last_error: null,
  updated_at: '2026-01-05T18:00:00Z',
};

function open(entry: Partial<Entry> = {}) {
  answer('GET /api/modules/paheko/sessions/s1', { ...ENTRY, ...entry });
  draw(<SaleDetailsPanel sale_id="t1" />);
}

describe('SaleDetailsPanel', () => {
  beforeEach(() => void answer('GET /api/modules/caisse/tickets/t1', { id: 't1', session_id: 's1' }));

  it('tells where the entry of the ticket’s session stands', async () => {
    open();
    expect(await screen.findByText('Écrite')).toBeVisible();
    expect(screen.getByRole('region', { name: 'Écriture Paheko' })).toBeVisible();
    expect(screen.getByText('RECYCLIC-session-s1')).toBeVisible();
    expect(screen.getByRole('link', { name: /n° 7/ })).toHaveAttribute('href', ENTRY.url);
  });

  it('asks for a sync, and looks again', async () => {
    open({ state: 'waiting' });
    await screen.findByText('En attente');
    const sent = answer('POST /api/modules/paheko/sessions/s1/sync', ENTRY, 202);
    answer('GET /api/modules/paheko/sessions/s1', ENTRY);
    await userEvent.click(screen.getByRole('button', { name: 'Synchroniser' }));
    expect(await screen.findByText('Synchronisation demandée.')).toBeVisible();
    await waitFor(() => expect(screen.getByText('Écrite')).toBeVisible());
    expect(sent).toHaveLength(1);
  });

  it('shows why Paheko refused', async () => {
    open({ state: 'quarantined', last_error: 'compte 530 inconnu' });
    expect(await screen.findByRole('alert')).toHaveTextContent('compte 530 inconnu');
  });

  it('says that a sync could not be asked for', async () => {
    open();
    refuse('POST /api/modules/paheko/sessions/s1/sync', 403, 'not_allowed');
    await userEvent.click(await screen.findByRole('button', { name: 'Synchroniser' }));
    expect(await screen.findByRole('alert')).toHaveTextContent('Vous n’avez pas le droit');
  });

  it('can be tried again when the host does not answer', async () => {
    refuse('GET /api/modules/paheko/sessions/s1', 500, 'internal_error');
    draw(<SaleDetailsPanel sale_id="t1" />);
    const retry = await screen.findByRole('button', { name: 'Réessayer' });
    answer('GET /api/modules/paheko/sessions/s1', ENTRY);
    await userEvent.click(retry);
    expect(await screen.findByText('Écrite')).toBeVisible();
  });

  it('speaks English', async () => {
    act(() => setLocale('en', false));
    open();
    expect(await screen.findByRole('button', { name: 'Sync now' })).toBeVisible();
    expect(await screen.findByText('Written')).toBeVisible();
  });
});
