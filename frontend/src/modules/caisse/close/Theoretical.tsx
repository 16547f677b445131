import { useFormat } from '@/core/i18n';
import { Fact, Facts } from '@/core/ui/Page';
import type { Session } from '../api';
import { useT } from '../messages';

/** What should be there, for each means of payment. */
export function Theoretical({ session }: { session: Session }) {
  const t = useT();
  const format = useFormat();
  return (
    <Facts>
      <Fact name={t('session.float')}>{format.money(session.opening_float_cents)}</Fact>
      <Fact name={t('session.theoreticalIn', { method: t('method.cash') })} strong>
        {format.money(session.theoretical_cash_cents)}
      </Fact>
      <Fact name={t('session.theoreticalIn', { method: t('method.card') })}>
        {format.money(session.payments.card)}
      </Fact>
      <Fact name={t('session.theoreticalIn', { method: t('method.check') })}>
        {format.money(session.payments.check)}
      </Fact>
    </Facts>
  );
}
