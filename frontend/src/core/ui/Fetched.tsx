import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { errorText, useT } from '../i18n';
import { Button } from './Button';
import { Loading } from './Loading';
import { Notice } from './Notice';

interface FetchedProps<T> {
  query: UseQueryResult<T>;
  /** Whose texts explain the errors, before the shell's. */
  namespace?: string;
  children: (data: T) => ReactNode;
}

/** What a query brings: its loading state, its error with a retry, or the data. Old data stays while new is on its way. */
export function Fetched<T>({ query, namespace, children }: FetchedProps<T>) {
  const t = useT();
  if (query.data !== undefined) {
    return (
      <>
        {query.isError && (
          <Failure error={query.error} namespace={namespace} onRetry={() => query.refetch()} />
        )}
        {children(query.data)}
      </>
    );
  }
  if (query.isPending) return <Loading label={t('common.loading')} />;
  return <Failure error={query.error} namespace={namespace} onRetry={() => query.refetch()} />;
}

interface FailureProps {
  error: unknown;
  namespace?: string | undefined;
  onRetry?: () => void;
}

/** What went wrong, in words, and a way to try again. */
export function Failure({ error, namespace, onRetry }: FailureProps) {
  const t = useT();
  return (
    <Notice tone="bad" action={onRetry && <Button onClick={onRetry}>{t('common.retry')}</Button>}>
      {errorText(error, namespace)}
    </Notice>
  );
}
