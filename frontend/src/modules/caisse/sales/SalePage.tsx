/** One ticket, and what other modules know about it. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';
import { useFormat } from '@/core/i18n';
import { ModuleSlot } from '@/core/ModuleSlot';
import { useMay } from '@/core/session';
import { Button, ButtonLink } from '@/core/ui/Button';
import { Fetched } from '@/core/ui/Fetched';
import { Notice } from '@/core/ui/Notice';
import { Fact, Facts, Page, Panel } from '@/core/ui/Page';
import { Table } from '@/core/ui/Table';
import { type Ticket, ticketQuery } from '../api';
import { NAMESPACE, useT } from '../messages';
import { Refund } from './Refund';
import css from './SalePage.module.css';
import { useTicketTitle } from './titles';

export function SalePage({ sale }: { sale: string }) {
  const t = useT();
  const format = useFormat();
  const title = useTicketTitle();
  const query = useQuery(ticketQuery(sale));
  const ticket = query.data;
  const [refunding, setRefunding] = useState(false);
  const may = useMay('caisse');
  const refundable = may && ticket?.kind === 'sale' && ticket.lines.length > 0;
  return (
    <Page
      title={ticket ? title(ticket) : t('kind.sale')}
      intro={ticket && t('sale.by', { date: format.dateTime(ticket.created_at), operator: ticket.operator })}
      actions={
        <>
          <ButtonLink to="/modules/caisse/ventes" look="quiet">
            ← {t('sale.back')}
          </ButtonLink>
          {refundable && <Button onClick={() => setRefunding(true)}>{t('sale.refund')}</Button>}
        </>
      }
    >
      <div className={css.columns}>
        <Fetched query={query} namespace={NAMESPACE}>
          {(found) => <TicketPanel ticket={found} />}
        </Fetched>
        <div className="stack">
          <ModuleSlot name="sale_details" context={{ sale_id: sale }} />
        </div>
      </div>
      {refunding && ticket && <Refund ticket={ticket} onClose={() => setRefunding(false)} />}
    </Page>
  );
}

function TicketPanel({ ticket }: { ticket: Ticket }) {
  const t = useT();
  const format = useFormat();
  return (
    <Panel>
      {ticket.lines.length > 0 && (
        <Table
          caption={t('sale.lines')}
          rows={ticket.lines}
          rowKey={({ id }) => id}
          columns={[
            {
              head: t('sale.article'),
              cell: ({ label, category }) => (
                <>
                  {label || category?.name}
                  {label && category && <span className={`soft ${css.category}`}>{category.name}</span>}
                </>
              ),
            },
            { head: t('sale.quantity'), number: true, cell: ({ quantity }) => quantity },
            {
              head: t('sale.weight'),
              number: true,
              cell: ({ weight_grams }) => (weight_grams === null ? '–' : format.weight(weight_grams)),
            },
            { head: t('sale.unit'), number: true, cell: (line) => format.money(line.unit_price_cents) },
            { head: t('sale.total'), number: true, cell: (line) => format.money(line.total_cents) },
          ]}
        />
      )}
      <Facts>
        {ticket.donation_cents !== 0 && (
          <Fact name={t('sale.donation')}>{format.money(ticket.donation_cents)}</Fact>
        )}
        <Fact name={t('sale.paid')} strong>
          {format.money(ticket.total_cents)}
        </Fact>
        {ticket.payments.map(({ method, amount_cents, tendered_cents }) => (
          <Fact key={`${method}-${amount_cents}`} name={t(`method.${method}`)}>
            {format.money(amount_cents)}
            {tendered_cents !== null && tendered_cents !== undefined && (
              <span className="soft"> ({t('sale.change', { amount: format.money(tendered_cents) })})</span>
            )}
          </Fact>
        ))}
        {ticket.note && <Fact name={t('sale.note')}>{ticket.note}</Fact>}
      </Facts>
      {ticket.source && (
        <Notice>{t('sale.source', { file: ticket.source.file, line: ticket.source.line })}</Notice>
      )}
      <p className="row">
        {ticket.refund_of && (
          <Link className="row-link" to={`/modules/caisse/ventes/${ticket.refund_of}`}>
            {t('sale.seeOriginal')}
          </Link>
        )}
        <Link className="row-link" to={`/modules/caisse/sessions/${ticket.session_id}`}>
          {t('sale.session')}
        </Link>
      </p>
    </Panel>
  );
}
