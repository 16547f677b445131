import { useCallback } from 'react';
import { useT } from '../messages';
import { fr } from '../messages/fr';

type Reason = keyof typeof fr.reasons;

/** A reason's code in words; one that this build does not know is shown with its code. */
export function useReason(): (code: string) => string {
  const t = useT();
  return useCallback(
    (code) => (code in fr.reasons ? t(`reasons.${code as Reason}`) : t('reasons.other', { code })),
    [t],
  );
}
