import { Badge } from '@/core/ui/Page';
import type { State } from './api';
import { useT } from './messages';

const TONES = {
  unknown: 'info',
  waiting: 'warn',
  writing: 'warn',
  written: 'good',
  quarantined: 'bad',
} as const;

export function StateBadge({ state }: { state: State }) {
  const t = useT();
  return <Badge tone={TONES[state] ?? 'info'}>{t(`states.${state}`)}</Badge>;
}
