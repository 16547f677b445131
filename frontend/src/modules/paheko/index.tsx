/** Accounting: every closed session and where its entry stands. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useFormat } from '@/core/i18n';
import { Fetched } from '@/core/ui/Fetched';
import { SelectField } from '@/core/ui/Field';
import { Notice } from '@/core/ui/Notice';
import { Empty, Page, Panel } from '@/core/ui/Page';
import { Table } from '@/core/ui/Table';
import { type Entry, entriesQuery, pause, STATES, type State, statusQuery } from './api';
import { NAMESPACE, useT } from './messages';
import css from './Paheko.module.css';
import { StateBadge } from './StateBadge';
import { SyncButton } from './SyncButton';

export default function Paheko() {
  const t = useT();
  const [state, setState] = useState<State | ''>('');
  const entries = useQuery({
    ...entriesQuery(state),
    refetchInterval: ({ state: query }) =>
      pause(query.data?.find((entry) => entry.state === 'waiting' || entry.state === 'writing')?.state, null),
  });
  return (
    <Page title={t('title')} intro={t('intro')} width="wide">
      <Link />
      <Panel
        title={t('entries')}
        actions={
          <SelectField
            label={t('filter')}
            value={state}
            onChange={(event) => setState(event.target.value as State | '')}
          >
            <option value="">{t('all')}</option>
            {STATES.map((one) => (
              <option key={one} value={one}>
                {t(`states.${one}`)}
              </option>
            ))}
          </SelectField>
        }
      >
        <Fetched query={entries} namespace={NAMESPACE}>
          {(list) =>
            list.length > 0 ? (
              <Entries entries={list} />
            ) : state ? (
              <Empty title={t('emptyState')} />
            ) : (
              <Empty title={t('empty')}>{t('emptyHint')}</Empty>
            )
          }
        </Fetched>
      </Panel>
    </Page>
  );
}

/** Is there a Paheko, and does anything wait for it? */
function Link() {
  const t = useT();
  const format = useFormat();
  const status = useQuery(statusQuery);
  return (
    <Fetched query={status} namespace={NAMESPACE}>
      {(found) =>
        found.configured ? (
          <Notice tone={found.waiting_since ? 'warn' : 'good'}>
            {t('configured', { url: found.url ?? '' })}
            {found.waiting_since && ` · ${t('since', { date: format.dateTime(found.waiting_since) })}`}
            {found.last_error && (
              <>
                <br />
                <strong>{t('error')}</strong> {found.last_error}
              </>
            )}
          </Notice>
        ) : (
          <Notice tone="warn">
            <strong>{t('notConfigured')}</strong> {t('notConfiguredHint')}
          </Notice>
        )
      }
    </Fetched>
  );
}

function Entries({ entries }: { entries: Entry[] }) {
  const t = useT();
  const format = useFormat();
  return (
    <Table
      caption={t('entries')}
      rows={entries}
      rowKey={({ session_id }) => session_id}
      columns={[
        {
          head: t('reference'),
          cell: ({ reference, url }) =>
            url ? (
              <a href={url} target="_blank" rel="noreferrer" className="row-link">
                {reference}
              </a>
            ) : (
              reference
            ),
        },
        { head: t('state'), cell: ({ state }) => <StateBadge state={state} /> },
        {
          head: t('amount'),
          number: true,
          cell: ({ amount_cents }) => (amount_cents === null ? '–' : format.money(amount_cents)),
        },
        { head: t('attempts'), number: true, cell: ({ attempts }) => attempts },
        {
          head: t('updated'),
          cell: ({ updated_at, last_error, state }) => (
            <>
              {updated_at ? format.dateTime(updated_at) : '–'}
              {last_error && state !== 'written' && <small className={css.error}>{last_error}</small>}
            </>
          ),
        },
        {
          head: t('action'),
          cell: ({ session_id, reference, state }) =>
            state !== 'written' && (
              <span className="row">
                <SyncButton session={session_id} reference={reference} />
              </span>
            ),
        },
      ]}
    />
  );
}
