/** The sessions that a notebook opened, one a day, and closing them. */
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link } from 'wouter';
import { useFormat } from '@/core/i18n';
import { useMay } from '@/core/session';
import { Button } from '@/core/ui/Button';
import { Failure } from '@/core/ui/Fetched';
import { Notice } from '@/core/ui/Notice';
import { Badge, Panel } from '@/core/ui/Page';
import { Table } from '@/core/ui/Table';
import { closeImport, type ImportReport } from '../api';
import { NAMESPACE, useT } from '../messages';

export function NotebookSessions({ report }: { report: ImportReport }) {
  const t = useT();
  const format = useFormat();
  const may = useMay('caisse');
  const client = useQueryClient();
  const open = report.sessions.filter(({ status }) => status === 'open').length;
  const close = useMutation({
    mutationFn: () => closeImport(report.id),
    onSettled: () => client.invalidateQueries({ queryKey: ['caisse'] }),
  });
  if (report.sessions.length === 0) return null;
  return (
    <Panel title={t('notebook.sessions')}>
      <p className="soft">{t('notebook.sessionsHint')}</p>
      <Table
        caption={t('notebook.sessions')}
        rows={report.sessions}
        rowKey={({ id }) => id}
        columns={[
          {
            head: t('session.day'),
            cell: ({ id, business_date }) => (
              <Link to={`/modules/caisse/sessions/${id}`} className="row-link">
                {format.day(business_date)}
              </Link>
            ),
          },
          { head: t('session.tickets'), number: true, cell: ({ ticket_count }) => ticket_count },
          { head: t('session.sales'), number: true, cell: ({ sales_cents }) => format.money(sales_cents) },
          {
            head: t('session.donations'),
            number: true,
            cell: ({ donations_cents }) => format.money(donations_cents),
          },
          {
            head: t('notebook.state'),
            cell: ({ status }) => (
              <Badge tone={status === 'open' ? 'warn' : 'good'}>{t(`notebook.status.${status}`)}</Badge>
            ),
          },
        ]}
      />
      {close.isError && <Failure error={close.error} namespace={NAMESPACE} />}
      {open === 0 && <Notice tone="good">{t('notebook.allClosed')}</Notice>}
      {open > 0 && may && (
        <Button look="pay" busy={close.isPending} onClick={() => close.mutate()}>
          {close.isPending ? t('notebook.closing') : t('notebook.close', { count: open })}
        </Button>
      )}
    </Panel>
  );
}
