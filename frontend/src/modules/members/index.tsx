/** The roll of members: list, search, enrol. */
import { useInfiniteQuery } from '@tanstack/react-query';
import { useDeferredValue, useState } from 'react';
import { useT as useCore } from '@/core/i18n';
import { useMay } from '@/core/session';
import { Button } from '@/core/ui/Button';
import { Failure } from '@/core/ui/Fetched';
import { TextField } from '@/core/ui/Field';
import { Loading } from '@/core/ui/Loading';
import { Notice } from '@/core/ui/Notice';
import { Empty, Page, Panel } from '@/core/ui/Page';
import { Table } from '@/core/ui/Table';
import { type Member, membersQuery } from './api';
import { NAMESPACE, useT } from './messages';
import { NewMemberDialog } from './NewMemberDialog';

export default function Members() {
  const t = useT();
  const may = useMay('users');
  const [search, setSearch] = useState('');
  const [adding, setAdding] = useState(false);
  const [added, setAdded] = useState<Member | null>(null);
  return (
    <Page
      title={t('title')}
      actions={
        may && (
          <Button look="primary" onClick={() => setAdding(true)}>
            {t('add')}
          </Button>
        )
      }
    >
      {added && (
        <Notice tone="good">
          {t('created', { name: `${added.first_name} ${added.last_name}`, number: added.number })}
        </Notice>
      )}
      <Panel>
        <TextField
          type="search"
          label={t('search')}
          hint={t('searchHint')}
          value={search}
          maxLength={200}
          autoComplete="off"
          onChange={(event) => setSearch(event.target.value)}
        />
        <Roll search={useDeferredValue(search.trim())} />
      </Panel>
      {adding && (
        <NewMemberDialog
          onClose={() => setAdding(false)}
          onAdded={(member) => {
            setAdded(member);
            setAdding(false);
          }}
        />
      )}
    </Page>
  );
}

function Roll({ search }: { search: string }) {
  const t = useT();
  const core = useCore();
  const { data, error, isPending, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } =
    useInfiniteQuery(membersQuery(search));
  if (isPending) return <Loading />;
  if (error) return <Failure error={error} namespace={NAMESPACE} onRetry={() => refetch()} />;
  const members = data.pages.flatMap(({ items }) => items);
  if (members.length === 0) {
    return search ? (
      <p className="soft">{t('nobody', { search })}</p>
    ) : (
      <Empty title={t('empty')}>{t('emptyHint')}</Empty>
    );
  }
  return (
    <>
      <p className="soft" role="status">
        {t('count', { count: data.pages[0]?.total ?? members.length })}
      </p>
      <Table
        caption={t('title')}
        rows={members}
        rowKey={({ id }) => id}
        columns={[
          { head: t('number'), cell: ({ number }) => number },
          {
            head: t('name'),
            cell: ({ first_name, last_name }) => (
              <strong>
                {last_name} {first_name}
              </strong>
            ),
          },
          { head: t('email'), cell: ({ email }) => email ?? '–' },
          { head: t('phone'), cell: ({ phone }) => phone ?? '–' },
          { head: t('city'), cell: ({ city }) => city ?? '–' },
        ]}
      />
      {hasNextPage && (
        <Button busy={isFetchingNextPage} onClick={() => fetchNextPage()}>
          {core('common.more')}
        </Button>
      )}
    </>
  );
}
