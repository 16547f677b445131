/** What paheko asks the host: how far each session has come. */
import { queryOptions } from '@tanstack/react-query';
import { api } from '@/core/api';

const BASE = '/api/modules/paheko';

export const STATES = ['waiting', 'writing', 'written', 'quarantined'] as const;
export type State = (typeof STATES)[number] | 'unknown';

export interface Entry {
  session_id: string;
  reference: string;
  state: State;
  transaction_id: number | null;
  url: string | null;
  amount_cents: number | null;
  attempts: number;
  last_error: string | null;
  updated_at: string | null;
}

export interface Status {
  configured: boolean;
  url: string | null;
  entries: Record<string, number>;
  last_error: string | null;
  waiting_since: string | null;
}

/** While an entry is on its way its state is asked for again, quickly at first. */
export function pause(state: State | undefined, askedAt: number | null): number | false {
  if (askedAt !== null && state !== 'written' && Date.now() - askedAt < 20_000) return 1_500;
  return state === 'waiting' || state === 'writing' ? 15_000 : false;
}

/** The session of a ticket, by the till's own route. */
export const sessionOfSaleQuery = (sale: string) =>
  queryOptions({
    queryKey: ['paheko', 'sale', sale],
    queryFn: ({ signal }) =>
      api<{ session_id: string }>(`/api/modules/caisse/tickets/${encodeURIComponent(sale)}`, { signal }),
  });

export const entryQuery = (session: string) =>
  queryOptions({
    queryKey: ['paheko', 'entry', session],
    queryFn: ({ signal }) => api<Entry>(`${BASE}/sessions/${encodeURIComponent(session)}`, { signal }),
    staleTime: 0,
  });

export const entriesQuery = (state: State | '') =>
  queryOptions({
    queryKey: ['paheko', 'entries', state],
    queryFn: ({ signal }) => api<Entry[]>(`${BASE}/entries${state ? `?state=${state}` : ''}`, { signal }),
    staleTime: 0,
  });

export const statusQuery = queryOptions({
  queryKey: ['paheko', 'status'],
  queryFn: ({ signal }) => api<Status>(`${BASE}/status`, { signal }),
  staleTime: 0,
});

export const syncSession = (session: string) =>
  api<Entry>(`${BASE}/sessions/${encodeURIComponent(session)}/sync`, { method: 'POST' });
