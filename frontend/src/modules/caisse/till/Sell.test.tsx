import { act, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, it } from 'vitest';
import { setLocale } from '@/core/i18n';
import { answer, refuse, type Sent, unreachable } from '@/test/host';
import { draw } from '@/test/render';
import type { NewTicket, Ticket } from '../api';
import { Sell } from './Sell';

const SESSION = { id: 's1', operator: 'Alma', opened_at: '2026-01-05T08:00:00Z' };
const REGISTER = { id: 'r1', name: 'Caisse 1', open_session: SESSION };
const category = (id: string, name: string, parent_id: string | null, min: number | null = null) => ({
  id,
  name,
  parent_id,
  min_price_cents: min,
  max_price_cents: null,
  position: 0,
});

function ticketOf({ body }: Sent): Ticket {
  const { lines, payments, donation_cents } = body as NewTicket;
  const sales = lines.reduce((sum, line) => sum + line.quantity * line.unit_price_cents, 0);
  return {
    id: 't1',
    number: 12,
    session_id: 's1',
    kind: 'sale',
    refund_of: null,
    created_at: '2026-01-05T09:00:00Z',
    operator: 'Alma',
    lines: [],
    payments: payments.map((payment) => ({ tendered_cents: null, ...payment })),
    donation_cents,
    sales_cents: sales,
    total_cents: sales + donation_cents,
    note: '',
    source: null,
  };
}

function open() {
  return draw(<Sell register={REGISTER} session={SESSION} onChange={() => {}} />);
}

const basket = () => within(screen.getByRole('region', { name: 'Panier' }));

async function addLamp(price = '12,5'): Promise<void> {
  await userEvent.click(await screen.findByRole('button', { name: /Luminaires/ }));
  await userEvent.click(screen.getByRole('button', { name: /Lampe/ }));
  await userEvent.type(screen.getByLabelText('Prix unitaire'), price);
  await userEvent.click(screen.getByRole('button', { name: /^Ajouter/ }));
}

async function pay(): Promise<void> {
  await userEvent.click(basket().getByRole('button', { name: 'Encaisser' }));
}

describe('selling', () => {
  beforeEach(() => {
    answer('GET /api/modules/caisse/categories', [
      category('c1', 'Luminaires & Décoration', null),
      category('c2', 'Lampe', 'c1', 300),
      category('c3', 'Électroménager', null),
    ]);
    answer('GET /api/modules/caisse/sessions/s1/tickets', []);
  });

  it('records a ticket and says what to give back', async () => {
    const sent = answer('POST /api/modules/caisse/sessions/s1/tickets', ticketOf, 201);
    open();
    await addLamp();
    expect(basket().getAllByText(/12,50\s€/)).not.toHaveLength(0);
    await pay();
    await userEvent.type(screen.getByLabelText(/Montant donné/), '20');
    await userEvent.click(screen.getByRole('button', { name: /Valider/ }));
    const done = await screen.findByRole('dialog', { name: 'Ticket n° 12 enregistré' });
    expect(within(done).getByText(/7,50\s€/)).toBeVisible();
    expect(sent[0]?.body).toEqual({
      client_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      lines: [{ category_id: 'c2', label: '', quantity: 1, unit_price_cents: 1250 }],
      payments: [{ method: 'cash', amount_cents: 1250, tendered_cents: 2000 }],
      donation_cents: 0,
      note: '',
    });
    await userEvent.click(within(done).getByRole('button', { name: 'Nouvelle vente' }));
    expect(basket().getByText('Le panier est vide')).toBeVisible();
  });

  it('keeps the basket when no answer came, and sends the same ticket again', async () => {
    unreachable('POST /api/modules/caisse/sessions/s1/tickets');
    open();
    await addLamp();
    await pay();
    await userEvent.click(screen.getByRole('button', { name: /Valider/ }));
    expect(await screen.findByRole('alert')).toHaveTextContent('ne répond pas');
    const stored = JSON.parse(localStorage.getItem('recyclic.basket.s1') ?? '{}');
    const sent = answer('POST /api/modules/caisse/sessions/s1/tickets', ticketOf, 201);
    await userEvent.click(screen.getByRole('button', { name: /Valider/ }));
    await screen.findByText('Ticket n° 12 enregistré');
    expect(sent[0]?.body).toMatchObject({ client_id: stored.client_id });
    await waitFor(() => expect(localStorage.getItem('recyclic.basket.s1')).toBeNull());
  });

  it('says why the host refused', async () => {
    refuse('POST /api/modules/caisse/sessions/s1/tickets', 409, 'session_closed');
    open();
    await addLamp();
    await pay();
    await userEvent.click(screen.getByRole('button', { name: /Valider/ }));
    expect(await screen.findByRole('alert')).toHaveTextContent('Cette session est fermée');
  });

  it('keeps the basket over a reload', async () => {
    const first = open();
    await addLamp('3');
    first.unmount();
    open();
    expect(await screen.findByText('Lampe', { selector: 'section *' })).toBeVisible();
  });

  it('takes a donation on top, in several payments', async () => {
    const sent = answer('POST /api/modules/caisse/sessions/s1/tickets', ticketOf, 201);
    open();
    await addLamp('60');
    await pay();
    await userEvent.type(screen.getByLabelText(/Don en plus/), '5');
    await userEvent.click(screen.getByRole('button', { name: 'Payer en plusieurs fois' }));
    await userEvent.type(screen.getByLabelText('Montant 1'), '20');
    await userEvent.click(screen.getByRole('button', { name: /Valider/ }));
    await screen.findByText('Ticket n° 12 enregistré');
    expect(sent[0]?.body).toMatchObject({
      donation_cents: 500,
      payments: [
        { method: 'cash', amount_cents: 2000 },
        { method: 'card', amount_cents: 4500 },
      ],
    });
  });

  it('refuses what is no amount, and a loose item without a name', async () => {
    open();
    await userEvent.click(await screen.findByRole('button', { name: 'Article libre' }));
    await userEvent.type(screen.getByLabelText('Prix unitaire'), 'trois');
    await userEvent.click(screen.getByRole('button', { name: /^Ajouter/ }));
    expect(screen.getByText(/Montant illisible/)).toBeVisible();
    expect(screen.getByText('Dites ce que c’est.')).toBeVisible();
    expect(basket().getByText('Le panier est vide')).toBeVisible();
  });

  it('finds a category whatever its accents', async () => {
    open();
    await screen.findByRole('button', { name: /Luminaires/ });
    await userEvent.type(screen.getByLabelText('Chercher une catégorie'), 'electro');
    expect(screen.getByRole('button', { name: 'Électroménager' })).toBeVisible();
    expect(screen.queryByRole('button', { name: /Luminaires/ })).toBeNull();
  });

  it('takes items that an extension read, the same code twice as two', async () => {
    open();
    await screen.findByRole('button', { name: /Luminaires/ });
    const detail = {
      label: 'Vase',
      category_name: 'Déco',
      unit_price_cents: 400,
      weight_grams: 900,
      code: '2000000000015',
    };
    for (const one of [detail, detail, { ...detail, unit_price_cents: 'x' }])
      act(() => void window.dispatchEvent(new CustomEvent('recyclic:add-item', { detail: one })));
    expect(basket().getAllByRole('listitem')).toHaveLength(1);
    expect(basket().getByLabelText('Quantité de Vase', { selector: 'input' })).toHaveValue('2');
  });

  it('speaks English', async () => {
    act(() => setLocale('en', false));
    open();
    expect(await screen.findByRole('button', { name: 'Loose item' })).toBeVisible();
    expect(screen.getByText('The basket is empty')).toBeVisible();
  });
});
