/** Fills `sale_details`: where the ticket's session stands in accounting. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useFormat } from '@/core/i18n';
import { Fetched } from '@/core/ui/Fetched';
import { Notice } from '@/core/ui/Notice';
import { Fact, Facts, Panel } from '@/core/ui/Page';
import { type Entry, entryQuery, pause, sessionOfSaleQuery } from '../api';
import { NAMESPACE, useT } from '../messages';
import { StateBadge } from '../StateBadge';
import { SyncButton } from '../SyncButton';

export default function SaleDetailsPanel({ sale_id }: { sale_id: string }) {
  const t = useT();
  const sale = useQuery(sessionOfSaleQuery(sale_id));
  return (
    <Panel title={t('panel')}>
      <Fetched query={sale} namespace={NAMESPACE}>
        {({ session_id }) => <SessionEntry session={session_id} />}
      </Fetched>
    </Panel>
  );
}

function SessionEntry({ session }: { session: string }) {
  const [askedAt, setAskedAt] = useState<number | null>(null);
  const entry = useQuery({
    ...entryQuery(session),
    refetchInterval: ({ state }) => pause(state.data?.state, askedAt),
  });
  return (
    <>
      <Fetched query={entry} namespace={NAMESPACE}>
        {(found) => <Details entry={found} />}
      </Fetched>
      <div className="row">
        <SyncButton session={session} onAsked={() => setAskedAt(Date.now())} />
      </div>
    </>
  );
}

function Details({ entry }: { entry: Entry }) {
  const t = useT();
  const format = useFormat();
  return (
    <>
      <div className="row">
        <StateBadge state={entry.state} />
        <span className="soft">{t(`hints.${entry.state}`)}</span>
      </div>
      <Facts>
        <Fact name={t('reference')}>{entry.reference}</Fact>
        {entry.amount_cents !== null && <Fact name={t('amount')}>{format.money(entry.amount_cents)}</Fact>}
        {entry.attempts > 0 && <Fact name={t('attempts')}>{entry.attempts}</Fact>}
        {entry.updated_at && <Fact name={t('updated')}>{format.dateTime(entry.updated_at)}</Fact>}
      </Facts>
      {entry.url && (
        <p>
          <a href={entry.url} target="_blank" rel="noreferrer" className="row-link">
            {t('open', { id: entry.transaction_id ?? '' })}
          </a>
        </p>
      )}
      {entry.last_error && entry.state !== 'written' && (
        <Notice tone={entry.state === 'quarantined' ? 'bad' : 'warn'}>
          <strong>{t('error')}</strong> {entry.last_error}
        </Notice>
      )}
    </>
  );
}
