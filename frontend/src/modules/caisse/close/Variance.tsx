import { useFormat } from '@/core/i18n';
import { useT } from '../messages';
import css from './Session.module.css';

/** How far the count is from what should be there. */
export function Variance({ cents }: { cents: number }) {
  const t = useT();
  const format = useFormat();
  return (
    <p className={`${css.variance} ${cents === 0 ? css.exact : css.off}`} role="status">
      <span>{cents === 0 ? t('session.exact') : t('session.variance')}</span>
      {cents !== 0 && <span className="amount">{format.variance(cents)}</span>}
    </p>
  );
}
