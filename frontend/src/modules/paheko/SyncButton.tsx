import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useMay } from '@/core/session';
import { Button } from '@/core/ui/Button';
import { Failure } from '@/core/ui/Fetched';
import { syncSession } from './api';
import { NAMESPACE, useT } from './messages';

interface SyncButtonProps {
  session: string;
  /** Tells several of them apart for screen readers. */
  reference?: string;
  onAsked?: () => void;
}

/** Asks that a session's entry be sent now. */
export function SyncButton({ session, reference, onAsked }: SyncButtonProps) {
  const t = useT();
  const may = useMay('accounting');
  const client = useQueryClient();
  const sync = useMutation({
    mutationFn: () => syncSession(session),
    onSuccess: () => {
      onAsked?.();
      void client.invalidateQueries({ queryKey: ['paheko'] });
    },
  });
  if (!may) return null;
  return (
    <>
      <Button
        busy={sync.isPending}
        onClick={() => sync.mutate()}
        aria-label={reference && !sync.isPending ? `${t('sync')} ${reference}` : undefined}
      >
        {sync.isPending ? t('syncing') : t('sync')}
      </Button>
      {sync.isSuccess && (
        <span role="status" className="soft">
          {t('asked')}
        </span>
      )}
      {sync.isError && <Failure error={sync.error} namespace={NAMESPACE} />}
    </>
  );
}
