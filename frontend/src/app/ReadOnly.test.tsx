/** Who may only read is shown everything, and offered nothing that the host would refuse. */
import { screen } from '@testing-library/react';
import type { ReactNode } from 'react';
import { describe, expect, it } from 'vitest';
import Barcodes from '@/modules/barcodes';
import Caisse from '@/modules/caisse';
import Members from '@/modules/members';
import Paheko from '@/modules/paheko';
import { answer } from '@/test/host';
import { draw, UI } from '@/test/render';

const SESSION = {
  id: 's1',
  register: { id: 'r1', name: 'Caisse 1' },
  operator: 'Alma',
  status: 'open',
  deferred: false,
  business_date: '2026-01-05',
  opened_at: '2026-01-05T08:00:00Z',
  closed_at: null,
  opening_float_cents: 5000,
  ticket_count: 0,
  sales_cents: 0,
  donations_cents: 0,
  total_cents: 0,
  payments: { cash: 0, card: 0, check: 0 },
  theoretical_cash_cents: 5000,
  counted_cash_cents: null,
  variance_cents: null,
  variance_comment: '',
};
const TICKET = {
  id: 't1',
  number: 1,
  session_id: 's1',
  kind: 'sale',
  refund_of: null,
  created_at: '2026-01-05T09:00:00Z',
  operator: 'Alma',
  lines: [
    {
      id: 'l1',
      category: null,
      label: 'Lampe',
      quantity: 1,
      weight_grams: null,
      unit_price_cents: 100,
      total_cents: 100,
    },
  ],
  payments: [],
  donation_cents: 0,
  sales_cents: 100,
  total_cents: 100,
  note: '',
  source: null,
};
const LINE = {
  line: 3,
  status: 'held',
  reasons: ['price_missing'],
  notices: [],
  date: '2025-09-17',
  kind: 'sale',
};
const REPORT = {
  id: 'i1',
  filename: 'cahier.csv',
  imported_at: '2026-01-05T09:00:00Z',
  operator: 'Alma',
  sessions: [{ ...SESSION, deferred: true }],
  lines: [
    { ...LINE, category: '', label: 'Sac', weight_grams: null, price_cents: null, method: null, notes: '' },
  ],
};
const ENTRY = {
  session_id: 's1',
  reference: 'R-1',
  state: 'quarantined',
  amount_cents: 1,
  attempts: 1,
  url: null,
};
const TILL = '/modules/caisse';
const READER = {
  user: { name: 'Rémi', permissions: { caisse: 'read', users: 'read', accounting: 'read' } as const },
};

function host(): void {
  const opened = { id: 's1', operator: 'Alma', opened_at: '2026-01-05T08:00:00Z' };
  answer(`GET /api${TILL}/registers`, [
    { id: 'r1', name: 'Caisse 1', open_session: opened },
    { id: 'r2', name: 'Caisse 2', open_session: null },
  ]);
  answer(`GET /api${TILL}/sessions/s1`, SESSION);
  answer(`GET /api${TILL}/sessions/s1/tickets`, []);
  answer(`GET /api${TILL}/tickets/t1`, TICKET);
  answer(`GET /api${TILL}/imports`, []);
  answer(`GET /api${TILL}/imports/i1`, REPORT);
  answer('GET /api/modules/barcodes/labels', { items: [], next: null });
  answer('GET /api/modules/members/members', { items: [], next: null, total: 0 });
  answer('GET /api/modules/paheko/entries', [ENTRY]);
  answer('GET /api/modules/paheko/status', { configured: false, url: null, entries: {}, last_error: null });
}

describe.each<[string, ReactNode, string, string | RegExp, RegExp]>([
  ['the till', <Caisse key="1" />, TILL, /^Caisse 2/, /Ajouter un poste/],
  ['a session', <Caisse key="2" />, `${TILL}/sessions/s1`, 'Contrôle des montants', /Fermer la session/],
  ['a sale', <Caisse key="3" />, `${TILL}/ventes/t1`, 'Lampe', /Rembourser/],
  ['a held line', <Caisse key="4" />, `${TILL}/import/i1`, 'Ligne 3', /^(Enregistrer|Écarter|Fermer)/],
  ['the labels', <Barcodes key="5" />, '/modules/barcodes', 'Étiquettes', /Créer/],
  ['the roll', <Members key="6" />, '/modules/members', 'Adhérents', /Inscrire/],
  ['accounting', <Paheko key="7" />, '/modules/paheko', 'R-1', /Synchroniser/],
])('%s', (_, page, at, shown, offered) => {
  it('offers what this person may do', async () => {
    host();
    draw(page, { at });
    expect((await screen.findAllByText(shown)).length).toBeGreaterThan(0);
    expect((await screen.findAllByRole('button', { name: offered })).length).toBeGreaterThan(0);
  });

  it('shows the same to who may only read, without what would be refused', async () => {
    host();
    draw(page, { at, ui: { ...UI, ...READER } });
    expect((await screen.findAllByText(shown)).length).toBeGreaterThan(0);
    expect(screen.queryAllByRole('button', { name: offered })).toEqual([]);
  });
});

it('lets nobody bring in a notebook who may only read', async () => {
  host();
  draw(<Caisse />, { at: `${TILL}/import`, ui: { ...UI, ...READER } });
  expect(await screen.findByText('Vous pouvez consulter, mais pas modifier.')).toBeVisible();
  expect(screen.queryByText('Choisir un fichier CSV')).toBeNull();
});
