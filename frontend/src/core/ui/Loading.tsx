import { useT } from '../i18n';
import css from './Loading.module.css';

/** Something is on its way. Shows itself only after a moment, so that quick answers do not flicker. */
export function Loading({ label }: { label?: string }) {
  const t = useT();
  return (
    <div className={css.loading} role="status" data-loading="">
      <span className={css.dots} aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      <span>{label ?? t('common.loading')}</span>
    </div>
  );
}
