import { Link } from 'wouter';
import { useFormat } from '@/core/i18n';
import { Badge } from '@/core/ui/Page';
import { Table } from '@/core/ui/Table';
import type { ImportReport } from '../api';
import { useT } from '../messages';
import css from './Notebook.module.css';
import { useReason } from './reasons';

const TONES = { booked: 'good', held: 'warn', discarded: 'bad' } as const;

/** Every line of the notebook, with its number in the file. */
export function AllLines({ report }: { report: ImportReport }) {
  const t = useT();
  const format = useFormat();
  const reason = useReason();
  return (
    <details className={css.all}>
      <summary>
        {t('notebook.allLines')} ({report.lines.length})
      </summary>
      <Table
        caption={t('notebook.allLines')}
        rows={report.lines}
        rowKey={({ line }) => String(line)}
        columns={[
          { head: '№', number: true, cell: ({ line }) => line },
          { head: t('notebook.date'), cell: ({ date }) => (date ? format.day(date) : '–') },
          { head: t('notebook.kindLabel'), cell: ({ kind }) => (kind ? t(`kind.${kind}`) : '–') },
          { head: t('notebook.label'), cell: ({ label, category }) => label || category || '–' },
          {
            head: t('notebook.weight'),
            number: true,
            cell: ({ weight_grams }) => (weight_grams === null ? '–' : format.weight(weight_grams)),
          },
          {
            head: t('notebook.price'),
            number: true,
            cell: ({ price_cents }) => (price_cents === null ? '–' : format.money(price_cents)),
          },
          {
            head: t('notebook.state'),
            cell: ({ status, reasons, notices, decision_reason, ticket_id }) => (
              <span className={css.state}>
                <Badge tone={TONES[status]}>{t(`notebook.status.${status}`)}</Badge>
                {[...(status === 'held' ? reasons : []), ...notices].map((code) => (
                  <small key={code} className="soft">
                    {reason(code)}
                  </small>
                ))}
                {decision_reason && <small className="soft">{decision_reason}</small>}
                {ticket_id && (
                  <Link className="row-link" to={`/modules/caisse/ventes/${ticket_id}`}>
                    {t('recorded.see')}
                  </Link>
                )}
              </span>
            ),
          },
        ]}
      />
    </details>
  );
}
