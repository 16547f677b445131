import { useCallback } from 'react';
import type { Ticket } from '../api';
import { useT } from '../messages';

const KEYS = { sale: 'sale.title', refund: 'sale.refundTitle', donation: 'sale.donationTitle' } as const;

/** "Vente n° 12", "Remboursement n° 13", "Don n° 14". */
export function useTicketTitle(): (ticket: Pick<Ticket, 'kind' | 'number'>) => string {
  const t = useT();
  return useCallback(({ kind, number }) => t(KEYS[kind], { number }), [t]);
}
