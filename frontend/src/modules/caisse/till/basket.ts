/** The basket of a session: kept in the browser until its ticket is recorded, so that nothing typed is ever lost. */
import { useCallback, useEffect, useState } from 'react';
import { newId } from '@/core/ids';
import type { NewTicket } from '../api';

export interface Line {
  key: string;
  label: string;
  category: string | null;
  category_id: string | null;
  /** Set for scanned items: the category by its name. */
  category_name: string | null;
  quantity: number;
  weight_grams: number | null;
  unit_price_cents: number;
  code: string | null;
}

export interface Basket {
  /** One ticket is recorded once under this id, however often it is sent. */
  client_id: string;
  lines: Line[];
}

export const fresh = (): Basket => ({ client_id: newId(), lines: [] });

export function totalOf(lines: readonly Line[]): number {
  return lines.reduce((sum, line) => sum + line.quantity * line.unit_price_cents, 0);
}

export function piecesOf(lines: readonly Line[]): number {
  return lines.reduce((sum, line) => sum + line.quantity, 0);
}

/** Add a line; a label scanned again counts as one more of the same. */
export function withLine(basket: Basket, line: Omit<Line, 'key'>): Basket {
  const same = line.code === null ? undefined : basket.lines.find(({ code }) => code === line.code);
  if (same) return withQuantity(basket, same.key, same.quantity + line.quantity);
  return { ...basket, lines: [...basket.lines, { ...line, key: newId() }] };
}

export function withQuantity(basket: Basket, key: string, quantity: number): Basket {
  return { ...basket, lines: basket.lines.map((line) => (line.key === key ? { ...line, quantity } : line)) };
}

export function without(basket: Basket, key: string): Basket {
  return { ...basket, lines: basket.lines.filter((line) => line.key !== key) };
}

/** The lines as the host takes them. */
export function linesToSend(lines: readonly Line[]): NewTicket['lines'] {
  return lines.map((line) => ({
    label: line.label,
    quantity: line.quantity,
    unit_price_cents: line.unit_price_cents,
    ...(line.category_id ? { category_id: line.category_id } : {}),
    ...(line.category_name && !line.category_id ? { category_name: line.category_name } : {}),
    ...(line.weight_grams === null ? {} : { weight_grams: line.weight_grams }),
  }));
}

const storageKey = (session: string): string => `recyclic.basket.${session}`;

function load(session: string): Basket {
  try {
    const stored = JSON.parse(localStorage.getItem(storageKey(session)) ?? 'null') as Basket | null;
    return stored && Array.isArray(stored.lines) && stored.client_id ? stored : fresh();
  } catch {
    return fresh();
  }
}

/** The basket of this session and how to change it. */
export function useBasket(session: string): [Basket, (change: (basket: Basket) => Basket) => void] {
  const [basket, setBasket] = useState(() => load(session));
  useEffect(() => {
    try {
      if (basket.lines.length === 0) localStorage.removeItem(storageKey(session));
      else localStorage.setItem(storageKey(session), JSON.stringify(basket));
    } catch {
      // Storage is off: the basket lives as long as the page.
    }
  }, [basket, session]);
  const change = useCallback((next: (basket: Basket) => Basket) => setBasket(next), []);
  return [basket, change];
}
