/** All sales, the newest first. */
import { useInfiniteQuery } from '@tanstack/react-query';
import { useT as useCore } from '@/core/i18n';
import { Button } from '@/core/ui/Button';
import { Failure } from '@/core/ui/Fetched';
import { Loading } from '@/core/ui/Loading';
import { Empty, Page, Panel } from '@/core/ui/Page';
import { ticketsQuery } from '../api';
import { NAMESPACE, useT } from '../messages';
import { TicketTable } from './TicketTable';

export function History() {
  const t = useT();
  const core = useCore();
  const { data, error, isPending, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } =
    useInfiniteQuery(ticketsQuery);
  const tickets = data?.pages.flatMap(({ items }) => items) ?? [];
  return (
    <Page title={t('history.title')}>
      <Panel>
        {isPending && <Loading />}
        {error && <Failure error={error} namespace={NAMESPACE} onRetry={() => refetch()} />}
        {data && tickets.length === 0 && <Empty title={t('history.empty')}>{t('history.emptyHint')}</Empty>}
        {tickets.length > 0 && <TicketTable tickets={tickets} caption={t('history.title')} />}
        {hasNextPage && (
          <Button busy={isFetchingNextPage} onClick={() => fetchNextPage()}>
            {core('common.more')}
          </Button>
        )}
      </Panel>
    </Page>
  );
}
