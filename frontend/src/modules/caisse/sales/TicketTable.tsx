import { Link } from 'wouter';
import { useFormat } from '@/core/i18n';
import { Table } from '@/core/ui/Table';
import type { Ticket } from '../api';
import { useT } from '../messages';
import { useTicketTitle } from './titles';

/** Tickets in a table; `caption` is for screen readers. */
export function TicketTable({ tickets, caption }: { tickets: readonly Ticket[]; caption: string }) {
  const t = useT();
  const format = useFormat();
  const title = useTicketTitle();
  return (
    <Table
      caption={caption}
      rows={tickets}
      rowKey={({ id }) => id}
      columns={[
        {
          head: t('history.number'),
          cell: (ticket) => (
            <Link to={`/modules/caisse/ventes/${ticket.id}`} className="row-link">
              {title(ticket)}
            </Link>
          ),
        },
        { head: t('history.when'), cell: (ticket) => <When ticket={ticket} /> },
        { head: t('history.what'), cell: (ticket) => contentOf(ticket) || t('history.nothing') },
        {
          head: t('history.how'),
          cell: (ticket) =>
            [...new Set(ticket.payments.map(({ method }) => t(`method.${method}`)))].join(' + '),
        },
        { head: t('history.total'), number: true, cell: (ticket) => format.money(ticket.total_cents) },
      ]}
    />
  );
}

/** A ticket from a notebook was recorded at its import, not when it was sold. */
function When({ ticket }: { ticket: Ticket }) {
  const t = useT();
  const format = useFormat();
  if (!ticket.source) return format.dateTime(ticket.created_at);
  return <span className="soft">{t('history.fromNotebook', { line: ticket.source.line })}</span>;
}

function contentOf({ lines }: Ticket): string {
  const names = lines.map(({ label, category }) => label || category?.name || '');
  return names.length > 3 ? `${names.slice(0, 3).join(', ')}… (${names.length})` : names.join(', ');
}
