import { describe, expect, it } from 'vitest';
import type { Method, NewTicket } from '../api';
import { keepingChange, likelyNotes, paymentsToSend, settle } from './payments';

const part = (method: Method, text = '') => ({ key: `${method}${text}`, method, text });

describe('settle', () => {
  it('lets one means pay all', () => {
    const parts = [part('card')];
    const settlement = settle(1250, parts, '');
    expect(settlement).toMatchObject({ valid: true, cash: 0, change: 0 });
    expect(paymentsToSend(parts, settlement)).toEqual([{ method: 'card', amount_cents: 1250 }]);
  });

  it('works out the change', () => {
    const parts = [part('cash')];
    const settlement = settle(1970, parts, '25');
    expect(settlement).toMatchObject({ valid: true, tendered: 2500, change: 530 });
    expect(paymentsToSend(parts, settlement)).toEqual([
      { method: 'cash', amount_cents: 1970, tendered_cents: 2500 },
    ]);
  });

  it('refuses cash that is too little or unreadable', () => {
    expect(settle(1970, [part('cash')], '10')).toMatchObject({ valid: false, tooShort: true, change: 0 });
    expect(settle(1970, [part('cash')], 'dix')).toMatchObject({ valid: false });
  });

  it('gives the rest to the last part', () => {
    const parts = [part('cash', '20'), part('check', '15,50'), part('card')];
    const settlement = settle(6500, parts, '');
    expect(settlement).toMatchObject({ valid: true, amounts: [2000, 1550, 2950] });
    expect(paymentsToSend(parts, settlement).map(({ amount_cents }) => amount_cents)).toEqual([
      2000, 1550, 2950,
    ]);
  });

  it('puts two parts of the same means into one payment', () => {
    const parts = [part('cash', '20'), part('cash')];
    expect(paymentsToSend(parts, settle(3000, parts, '50'))).toEqual([
      { method: 'cash', amount_cents: 3000, tendered_cents: 5000 },
    ]);
  });

  it('refuses parts that exceed what is due, are unreadable, or leave nothing', () => {
    expect(settle(1000, [part('cash', '20'), part('card')], '')).toMatchObject({
      valid: false,
      excess: 1000,
    });
    expect(settle(1000, [part('cash', 'x'), part('card')], '')).toMatchObject({ valid: false });
    expect(settle(1000, [part('cash', '10'), part('card')], '')).toMatchObject({ valid: false });
  });

  it('sends what costs nothing as free', () => {
    const parts = [part('cash')];
    const settlement = settle(0, parts, '');
    expect(settlement.valid).toBe(true);
    expect(paymentsToSend(parts, settlement)).toEqual([{ method: 'free', amount_cents: 0 }]);
  });

  it('lets nothing of a payment in parts hinder what costs nothing any more', () =>
    expect(settle(0, [part('cash', '5'), part('card')], '20').valid).toBe(true));
});

describe('the change left as a donation', () => {
  const write = (cents: number): string => String(cents / 100);

  it.each([
    ['cash alone', [part('cash')]],
    ['cash, the rest by card', [part('cash', '5'), part('card')]],
    ['a card, the rest in cash', [part('card', '15'), part('cash')]],
  ])('is paid in cash: %s', (_, parts) => {
    const before = settle(2000, parts, parts.length === 1 ? '50' : '20');
    expect(before.change).toBeGreaterThan(0);
    const after = keepingChange(parts, before, write);
    const settlement = settle(2000 + before.change, after, parts.length === 1 ? '50' : '20');
    expect(settlement).toMatchObject({ valid: true, change: 0, cash: before.cash + before.change });
    const byCard = (of: NewTicket['payments']): number =>
      of.find(({ method }) => method === 'card')?.amount_cents ?? 0;
    expect(byCard(paymentsToSend(after, settlement))).toBe(byCard(paymentsToSend(parts, before)));
  });
});

describe('likelyNotes', () => {
  it('offers what people hand over', () => {
    expect(likelyNotes(1970)).toEqual([2000, 5000]);
    expect(likelyNotes(350)).toEqual([500, 1000, 2000, 5000]);
    expect(likelyNotes(5000)).toEqual([6000]);
  });
});
