import { useFormat } from '@/core/i18n';
import { useMay } from '@/core/session';
import { ButtonLink } from '@/core/ui/Button';
import { Notice } from '@/core/ui/Notice';
import { Fact, Facts, Panel } from '@/core/ui/Page';
import type { Session } from '../api';
import { useT } from '../messages';
import { Theoretical } from './Theoretical';
import { Variance } from './Variance';

/** The result of a close. */
export function Closed({ session }: { session: Session }) {
  const t = useT();
  const format = useFormat();
  const may = useMay('caisse');
  return (
    <Panel title={t('session.control')}>
      <Notice tone="good">{t('session.done')}</Notice>
      <Theoretical session={session} />
      <Facts>
        <Fact name={t('session.counted')} strong>
          {format.money(session.counted_cash_cents ?? 0)}
        </Fact>
      </Facts>
      <Variance cents={session.variance_cents ?? 0} />
      {session.variance_comment && (
        <Facts>
          <Fact name={t('session.comment')}>{session.variance_comment}</Fact>
        </Facts>
      )}
      {may && !session.deferred && (
        <div>
          <ButtonLink to="/modules/caisse">{t('session.next')}</ButtonLink>
        </div>
      )}
    </Panel>
  );
}
