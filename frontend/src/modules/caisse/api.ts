/** What the till asks the host: shapes, queries, commands. Amounts are integer cents, weights integer grams. */
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { api } from '@/core/api';

const BASE = '/api/modules/caisse';

export type Method = 'cash' | 'card' | 'check' | 'free';
export const METHODS: readonly Method[] = ['cash', 'card', 'check', 'free'];

export interface Register {
  id: string;
  name: string;
  open_session: { id: string; operator: string; opened_at: string } | null;
}

export interface Category {
  id: string;
  name: string;
  parent_id: string | null;
  min_price_cents: number | null;
  max_price_cents: number | null;
  position: number;
}

export interface Session {
  id: string;
  register: { id: string; name: string };
  operator: string;
  status: 'open' | 'closed';
  deferred: boolean;
  business_date: string;
  opened_at: string;
  closed_at: string | null;
  opening_float_cents: number;
  ticket_count: number;
  sales_cents: number;
  donations_cents: number;
  total_cents: number;
  payments: Record<'cash' | 'card' | 'check', number>;
  theoretical_cash_cents: number;
  counted_cash_cents: number | null;
  variance_cents: number | null;
  variance_comment: string;
}

export interface TicketLine {
  id: string;
  category: { id: string; name: string } | null;
  label: string;
  quantity: number;
  weight_grams: number | null;
  unit_price_cents: number;
  total_cents: number;
}

export interface Ticket {
  id: string;
  number: number;
  session_id: string;
  kind: 'sale' | 'refund' | 'donation';
  refund_of: string | null;
  created_at: string;
  operator: string;
  lines: TicketLine[];
  payments: { method: Method; amount_cents: number; tendered_cents: number | null }[];
  donation_cents: number;
  sales_cents: number;
  total_cents: number;
  note: string;
  source: { file: string; line: number } | null;
}

export interface NewTicket {
  lines: {
    category_id?: string;
    category_name?: string;
    label: string;
    quantity: number;
    weight_grams?: number;
    unit_price_cents: number;
  }[];
  payments: { method: Method; amount_cents: number; tendered_cents?: number }[];
  donation_cents: number;
  note: string;
  client_id: string;
}

export interface ImportLine {
  line: number;
  status: 'booked' | 'held' | 'discarded';
  reasons: string[];
  notices: string[];
  date: string | null;
  kind: 'sale' | 'donation' | 'gift' | null;
  category: string;
  label: string;
  weight_grams: number | null;
  price_cents: number | null;
  method: Method | null;
  notes: string;
  ticket_id: string | null;
  decided_by: string | null;
  decision_reason: string;
}

export interface ImportSummary {
  id: string;
  filename: string;
  imported_at: string;
  operator: string;
  rows: number;
  booked: number;
  held: number;
  discarded: number;
  notebook_total_cents: number | null;
  notebook_total_grams: number | null;
  total_cents: number;
  total_grams: number;
  booked_cents: number;
  held_cents: number;
  discarded_cents: number;
}

export interface ImportReport extends ImportSummary {
  sessions: Session[];
  lines: ImportLine[];
}

export interface Decision {
  decision: 'book' | 'discard';
  date?: string;
  kind?: 'sale' | 'donation';
  price_cents?: number;
  weight_grams?: number;
  category?: string;
  label?: string;
  method?: Method;
  reason?: string;
}

export interface Paged<T> {
  items: T[];
  next: string | null;
}

const id = encodeURIComponent;

export const registersQuery = queryOptions({
  queryKey: ['caisse', 'registers'],
  queryFn: ({ signal }) => api<Register[]>(`${BASE}/registers`, { signal }),
  staleTime: 0,
});

export const categoriesQuery = queryOptions({
  queryKey: ['caisse', 'categories'],
  queryFn: ({ signal }) => api<Category[]>(`${BASE}/categories`, { signal }),
  staleTime: 5 * 60_000,
});

export const sessionQuery = (session: string) =>
  queryOptions({
    queryKey: ['caisse', 'session', session],
    queryFn: ({ signal }) => api<Session>(`${BASE}/sessions/${id(session)}`, { signal }),
    staleTime: 0,
  });

export const sessionTicketsQuery = (session: string) =>
  queryOptions({
    queryKey: ['caisse', 'session', session, 'tickets'],
    queryFn: async ({ signal }) => {
      const answer = await api<Ticket[] | Paged<Ticket>>(`${BASE}/sessions/${id(session)}/tickets`, {
        signal,
      });
      return Array.isArray(answer) ? answer : answer.items;
    },
    staleTime: 0,
  });

export const ticketQuery = (ticket: string) =>
  queryOptions({
    queryKey: ['caisse', 'ticket', ticket],
    queryFn: ({ signal }) => api<Ticket>(`${BASE}/tickets/${id(ticket)}`, { signal }),
  });

const cursor = (before: string): string => (before ? `&before=${id(before)}` : '');

export const ticketsQuery = infiniteQueryOptions({
  queryKey: ['caisse', 'tickets'],
  queryFn: ({ signal, pageParam }) =>
    api<Paged<Ticket>>(`${BASE}/tickets?limit=30${cursor(pageParam)}`, { signal }),
  initialPageParam: '',
  getNextPageParam: (page) => page.next,
  staleTime: 0,
});

export const importsQuery = queryOptions({
  queryKey: ['caisse', 'imports'],
  queryFn: ({ signal }) => api<ImportSummary[]>(`${BASE}/imports`, { signal }),
  staleTime: 0,
});

export const importQuery = (report: string) =>
  queryOptions({
    queryKey: ['caisse', 'import', report],
    queryFn: ({ signal }) => api<ImportReport>(`${BASE}/imports/${id(report)}`, { signal }),
  });

export const addRegister = (name: string) => api<Register>(`${BASE}/registers`, { json: { name } });

export const openSession = (register_id: string, opening_float_cents: number) =>
  api<Session>(`${BASE}/sessions`, { json: { register_id, opening_float_cents } });

export const closeSession = (session: string, counted_cash_cents: number, variance_comment: string) =>
  api<Session>(`${BASE}/sessions/${id(session)}/close`, { json: { counted_cash_cents, variance_comment } });

export const recordTicket = (session: string, ticket: NewTicket) =>
  api<Ticket>(`${BASE}/sessions/${id(session)}/tickets`, { json: ticket });

export interface NewRefund {
  session_id: string;
  method: Method;
  lines: { line_id: string; quantity: number }[];
  reason: string;
  client_id: string;
}

export const refundTicket = (ticket: string, refund: NewRefund) =>
  api<Ticket>(`${BASE}/tickets/${id(ticket)}/refund`, { json: refund });

export const importNotebook = (file: File) =>
  api<ImportReport>(`${BASE}/import?filename=${id(file.name)}`, {
    body: { content: file, type: 'text/csv' },
    timeout: 120_000,
  });

export const decideLine = (report: string, line: number, decision: Decision) =>
  api<unknown>(`${BASE}/imports/${id(report)}/lines/${line}`, { json: decision });

export const closeImport = (report: string) =>
  api<unknown>(`${BASE}/imports/${id(report)}/close`, { method: 'POST' });
