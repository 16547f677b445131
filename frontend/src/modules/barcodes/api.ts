/** What barcodes asks the host. */
import { infiniteQueryOptions } from '@tanstack/react-query';
import { api } from '@/core/api';

const BASE = '/api/modules/barcodes/labels';

export interface Label {
  id: string;
  code: string;
  label: string;
  category_name: string | null;
  price_cents: number;
  weight_grams: number | null;
  created_at: string;
}

export interface NewLabel {
  label: string;
  category_name: string | null;
  price_cents: number;
  weight_grams: number | null;
}

export const labelsQuery = infiniteQueryOptions({
  queryKey: ['barcodes', 'labels'],
  queryFn: ({ signal, pageParam }) => {
    const query = new URLSearchParams({ limit: '24', ...(pageParam ? { before: pageParam } : {}) });
    return api<{ items: Label[]; next: string | null }>(`${BASE}?${query}`, { signal });
  },
  initialPageParam: '',
  getNextPageParam: (page) => page.next,
});

export const addLabel = (label: NewLabel) => api<Label>(BASE, { json: label });

export const findLabel = (code: string) => api<Label>(`${BASE}/${encodeURIComponent(code)}`);

export const pictureOf = ({ code }: Label): string => `${BASE}/${encodeURIComponent(code)}.svg`;

export const sheetOf = (ids: readonly string[]): string =>
  `${BASE}/sheet.pdf?ids=${ids.map(encodeURIComponent).join(',')}`;
