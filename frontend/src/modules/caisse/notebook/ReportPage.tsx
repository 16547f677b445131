/** What became of a notebook: its totals, the lines that wait for a decision, its sessions, every line. */
import { useQuery } from '@tanstack/react-query';
import { useFormat } from '@/core/i18n';
import { ButtonLink } from '@/core/ui/Button';
import { Fetched } from '@/core/ui/Fetched';
import { Notice } from '@/core/ui/Notice';
import { Fact, Facts, Page, Panel } from '@/core/ui/Page';
import { type ImportReport, importQuery } from '../api';
import { NAMESPACE, useT } from '../messages';
import { AllLines } from './AllLines';
import { HeldLine } from './HeldLine';
import css from './Notebook.module.css';
import { NotebookSessions } from './NotebookSessions';

export function ReportPage({ report }: { report: string }) {
  const t = useT();
  const format = useFormat();
  const query = useQuery(importQuery(report));
  const found = query.data;
  return (
    <Page
      title={found ? t('notebook.report', { file: found.filename }) : t('notebook.title')}
      intro={
        found &&
        t('notebook.reportBy', { date: format.dateTime(found.imported_at), operator: found.operator })
      }
      actions={
        <ButtonLink to="/modules/caisse/import" look="quiet">
          ← {t('notebook.back')}
        </ButtonLink>
      }
    >
      <Fetched query={query} namespace={NAMESPACE}>
        {(one) => (
          <>
            <div className="columns">
              <Figures report={one} />
              <Totals report={one} />
            </div>
            <Decisions report={one} />
            <NotebookSessions report={one} />
            <AllLines report={one} />
          </>
        )}
      </Fetched>
    </Page>
  );
}

function Figures({ report }: { report: ImportReport }) {
  const t = useT();
  const format = useFormat();
  const withMoney = (count: number, cents: number): string => `${count} · ${format.money(cents)}`;
  return (
    <Panel title={t('notebook.rows')}>
      <Facts>
        <Fact name={t('notebook.read')} strong>
          {withMoney(report.rows, report.total_cents)}
        </Fact>
        <Fact name={t('notebook.booked')}>{withMoney(report.booked, report.booked_cents)}</Fact>
        <Fact name={t('notebook.held')}>{withMoney(report.held, report.held_cents)}</Fact>
        <Fact name={t('notebook.discarded')}>{withMoney(report.discarded, report.discarded_cents)}</Fact>
      </Facts>
    </Panel>
  );
}

function Totals({ report }: { report: ImportReport }) {
  const t = useT();
  const format = useFormat();
  const { total_cents, notebook_total_cents, total_grams, notebook_total_grams } = report;
  const money = notebook_total_cents === null ? 0 : total_cents - notebook_total_cents;
  const grams = notebook_total_grams === null ? 0 : total_grams - notebook_total_grams;
  const given = notebook_total_cents !== null || notebook_total_grams !== null;
  return (
    <Panel title={t('notebook.totals')}>
      <table className={css.totals}>
        <thead>
          <tr>
            <td />
            <th scope="col">{t('notebook.money')}</th>
            <th scope="col">{t('notebook.weight')}</th>
          </tr>
        </thead>
        <tbody>
          <tr>
            <th scope="row">{t('notebook.mine')}</th>
            <td>{format.money(total_cents)}</td>
            <td>{format.weight(total_grams)}</td>
          </tr>
          <tr>
            <th scope="row">{t('notebook.theirs')}</th>
            <td>
              {notebook_total_cents === null ? t('notebook.noTotal') : format.money(notebook_total_cents)}
            </td>
            <td>
              {notebook_total_grams === null ? t('notebook.noTotal') : format.weight(notebook_total_grams)}
            </td>
          </tr>
          <tr className={money || grams ? css.differs : undefined}>
            <th scope="row">{t('notebook.difference')}</th>
            <td>{format.money(money)}</td>
            <td>{format.weight(grams)}</td>
          </tr>
        </tbody>
      </table>
      {given && (
        <Notice tone={money || grams ? 'warn' : 'good'}>
          {t(money || grams ? 'notebook.disagree' : 'notebook.agree')}
        </Notice>
      )}
    </Panel>
  );
}

function Decisions({ report }: { report: ImportReport }) {
  const t = useT();
  const held = report.lines.filter(({ status }) => status === 'held');
  return (
    <Panel title={t('notebook.decisions')}>
      {held.length === 0 ? (
        <Notice tone="good">{t('notebook.noneHeld')}</Notice>
      ) : (
        <>
          <p className="soft">{t('notebook.decisionsHint')}</p>
          <ul className={css.held}>
            {held.map((line) => (
              <HeldLine key={line.line} report={report.id} line={line} />
            ))}
          </ul>
        </>
      )}
    </Panel>
  );
}
