import { Link } from 'wouter';
import { useLocale, useT } from '@/core/i18n';
import { ModuleRegistry } from '@/core/ModuleRegistry';
import { useUi } from '@/core/session';
import { Empty, Page } from '@/core/ui/Page';
import css from './Home.module.css';

export function Home() {
  const t = useT();
  const locale = useLocale();
  const { user, modules } = useUi();
  const entries = ModuleRegistry.navigation(modules);
  return (
    <Page title={t('home.title', { name: user?.name ?? '' })} intro={t('home.intro')}>
      {entries.length === 0 ? (
        <Empty title={t('home.empty')}>{t('home.emptyHint')}</Empty>
      ) : (
        <ul className={css.tiles}>
          {entries.map((entry) => (
            <li key={entry.to}>
              <Link to={entry.to} className={css.tile}>
                <svg viewBox="0 0 24 24" aria-hidden="true" className={css.icon}>
                  {entry.icon}
                </svg>
                <span className={css.label}>{entry.label[locale]}</span>
                <span className="soft">{entry.hint[locale]}</span>
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Page>
  );
}
