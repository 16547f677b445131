/** How a ticket is paid: every part but the last is typed, the last one takes the rest. */
import { parseCents } from '@/core/money';
import type { Method, NewTicket } from '../api';

export interface Part {
  key: string;
  method: Method;
  text: string;
}

export interface Settlement {
  due: number;
  /** The amount of each part; null where what is typed is no amount. */
  amounts: (number | null)[];
  /** Cents by which the typed parts exceed what is due; 0 when they fit. */
  excess: number;
  cash: number;
  tendered: number | null;
  change: number;
  tooShort: boolean;
  valid: boolean;
}

/** Work out the payment of `due` cents. `tendered` is what the person gave in cash, as typed; empty means exact. */
export function settle(due: number, parts: readonly Part[], tenderedText: string): Settlement {
  const typed = parts.slice(0, -1).map(({ text }) => parseCents(text));
  const given = typed.reduce<number>((sum, amount) => sum + (amount ?? 0), 0);
  const rest = due - given;
  const amounts = [...typed, Math.max(rest, 0)];
  const cash = parts.reduce(
    (sum, { method }, index) => sum + (method === 'cash' ? (amounts[index] ?? 0) : 0),
    0,
  );
  const tendered = tenderedText.trim() === '' || cash === 0 ? null : parseCents(tenderedText);
  const readable = tenderedText.trim() === '' || cash === 0 || tendered !== null;
  const tooShort = tendered !== null && tendered < cash;
  const allPaid = parts.length === 1 || amounts.every((amount) => amount !== null && amount > 0);
  return {
    due,
    amounts,
    excess: Math.max(-rest, 0),
    cash,
    tendered,
    change: tendered !== null && !tooShort ? tendered - cash : 0,
    tooShort,
    valid: (due === 0 || allPaid) && readable && !tooShort,
  };
}

/** The payments as the host takes them: cash in one, what is free as 0. */
export function paymentsToSend(parts: readonly Part[], settlement: Settlement): NewTicket['payments'] {
  if (settlement.due === 0) return [{ method: 'free', amount_cents: 0 }];
  const sums = new Map<Method, number>();
  parts.forEach(({ method }, index) => {
    sums.set(method, (sums.get(method) ?? 0) + (settlement.amounts[index] ?? 0));
  });
  return [...sums].map(([method, amount_cents]) => ({
    method,
    amount_cents,
    ...(method === 'cash' && settlement.tendered !== null ? { tendered_cents: settlement.tendered } : {}),
  }));
}

/** The parts once the change is left as a donation: the cash pays it, and not the means that takes the rest. */
export function keepingChange(
  parts: readonly Part[],
  { amounts, change }: Settlement,
  write: (cents: number) => string,
): Part[] {
  if (parts.at(-1)?.method === 'cash') return [...parts];
  const typed = parts.findIndex(({ method }) => method === 'cash');
  return parts.map((part, index) =>
    index === typed ? { ...part, text: write((amounts[index] ?? 0) + change) } : part,
  );
}

/** Round amounts of notes that people hand over for `cents`. */
export function likelyNotes(cents: number): number[] {
  const notes = [500, 1000, 2000, 5000].map((note) => Math.ceil(cents / note) * note);
  return [...new Set(notes)].filter((note) => note > cents).slice(0, 4);
}
