/** The frame around every page: navigation in a rail at the side, or behind a menu button on a phone. */
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { Link, useLocation } from 'wouter';
import { useLocale, useT } from '@/core/i18n';
import { ModuleRegistry, type NavEntry } from '@/core/ModuleRegistry';
import { useUi } from '@/core/session';
import { Mark } from './Mark';
import css from './Shell.module.css';

const HOME = <path d="M4 11 12 4l8 7v8.500h-5.500V14h-5v5.500H4z" />;
const SETTINGS = (
  <>
    <path d="M4 7h9m5 0h2M4 17h2m5 0h9" />
    <circle cx="15.500" cy="7" r="2.500" />
    <circle cx="8.500" cy="17" r="2.500" />
  </>
);
const DOT = <circle cx="12" cy="12" r="7" />;

export function Shell({ children }: { children: ReactNode }) {
  const t = useT();
  const main = useRef<HTMLElement>(null);
  const [pathname] = useLocation();
  const [open, setOpen] = useState(false);
  useFocusOnArrival(main, pathname);
  return (
    <div className={css.shell}>
      <a className={css.skip} href="#main">
        {t('app.skip')}
      </a>
      <header className={css.bar} data-open={open || undefined}>
        <Link to="/" className={css.brand} aria-label={t('nav.home')} onClick={() => setOpen(false)}>
          <Mark />
          <span>Recyclic</span>
        </Link>
        <button
          type="button"
          className={css.menu}
          aria-expanded={open}
          aria-controls="navigation"
          onClick={() => setOpen(!open)}
          onKeyDown={(event) => event.key === 'Escape' && setOpen(false)}
        >
          {open ? t('app.closeMenu') : t('app.menu')}
        </button>
        <Navigation onChoose={() => setOpen(false)} />
      </header>
      <main id="main" ref={main} tabIndex={-1} className={css.main}>
        {children}
      </main>
    </div>
  );
}

/** After a change of page the focus goes to its content, so that a screen reader starts there. */
function useFocusOnArrival(main: React.RefObject<HTMLElement | null>, pathname: string): void {
  const last = useRef(pathname);
  useEffect(() => {
    if (last.current === pathname) return;
    last.current = pathname;
    window.scrollTo(0, 0);
    if (!main.current?.contains(document.activeElement)) main.current?.focus({ preventScroll: true });
  }, [main, pathname]);
}

function Navigation({ onChoose }: { onChoose: () => void }) {
  const t = useT();
  const locale = useLocale();
  const [pathname] = useLocation();
  const entries = ModuleRegistry.navigation(useUi().modules);
  const current = currentEntry(entries, pathname);
  return (
    <nav id="navigation" className={css.nav} aria-label={t('app.navigation')}>
      <ul>
        <Item to="/" label={t('nav.home')} icon={HOME} current={pathname === '/'} onChoose={onChoose} />
        {entries.map((entry) => (
          <Item
            key={entry.to}
            to={entry.to}
            label={entry.label[locale]}
            icon={entry.icon ?? DOT}
            current={entry === current}
            onChoose={onChoose}
          />
        ))}
        <Item
          to="/settings"
          label={t('nav.settings')}
          icon={SETTINGS}
          current={pathname === '/settings'}
          onChoose={onChoose}
        />
      </ul>
    </nav>
  );
}

/** The entry whose address is the longest beginning of this one. */
function currentEntry(entries: readonly NavEntry[], pathname: string): NavEntry | undefined {
  const within = (path: string): boolean => pathname === path || pathname.startsWith(`${path}/`);
  const length = (entry: NavEntry): number =>
    Math.max(...[entry.to, ...(entry.also ?? [])].filter(within).map((path) => path.length), 0);
  const [best] = [...entries].sort((a, b) => length(b) - length(a));
  return best && length(best) > 0 ? best : undefined;
}

interface ItemProps {
  to: string;
  label: string;
  icon: ReactNode;
  current: boolean;
  onChoose: () => void;
}

function Item({ to, label, icon, current, onChoose }: ItemProps) {
  return (
    <li>
      <Link to={to} className={css.item} aria-current={current ? 'page' : undefined} onClick={onChoose}>
        <svg viewBox="0 0 24 24" aria-hidden="true" className={css.icon}>
          {icon}
        </svg>
        <span>{label}</span>
      </Link>
    </li>
  );
}
