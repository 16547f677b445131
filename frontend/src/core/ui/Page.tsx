import { type ReactNode, useEffect, useId } from 'react';
import css from './Page.module.css';

interface PageProps {
  title: ReactNode;
  /** The browser's tab, when the title is not plain text. */
  documentTitle?: string;
  intro?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  /** `wide` uses the whole width, `narrow` is for a single form. */
  width?: 'normal' | 'wide' | 'narrow';
}

/** A page: its heading, what can be done with it, its content. */
export function Page({ title, documentTitle, intro, actions, children, width = 'normal' }: PageProps) {
  const name = documentTitle ?? (typeof title === 'string' ? title : null);
  useEffect(() => {
    document.title = name ? `${name} · Recyclic` : 'Recyclic';
  }, [name]);
  return (
    <div className={`${css.page} ${css[width]}`}>
      <header className={css.header}>
        <div className={css.heading}>
          <h1>{title}</h1>
          {intro && <p className="soft">{intro}</p>}
        </div>
        {actions && <div className="row">{actions}</div>}
      </header>
      {children}
    </div>
  );
}

/** A sheet of paper on the page. */
export function Panel({
  title,
  actions,
  children,
}: {
  title?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}) {
  const id = useId();
  return (
    <section className={css.panel} aria-labelledby={title ? id : undefined}>
      {(title || actions) && (
        <div className={`row spread ${css.panelHead}`}>
          {title && <h2 id={id}>{title}</h2>}
          {actions && <div className="row">{actions}</div>}
        </div>
      )}
      {children}
    </section>
  );
}

/** Nothing is here yet, and what to do about it. */
export function Empty({
  title,
  children,
  action,
}: {
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}) {
  return (
    <div className={css.empty}>
      <span className={css.tag} aria-hidden="true" />
      <p className={css.emptyTitle}>{title}</p>
      {children && <p className="soft">{children}</p>}
      {action}
    </div>
  );
}

/** Names and values side by side. */
export function Facts({ children }: { children: ReactNode }) {
  return <dl className={css.facts}>{children}</dl>;
}

export function Fact({
  name,
  children,
  strong = false,
}: {
  name: ReactNode;
  children: ReactNode;
  strong?: boolean;
}) {
  return (
    <div className={strong ? css.strong : undefined}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** A word about a state, in its colour. */
export function Badge({
  tone = 'info',
  children,
}: {
  tone?: 'info' | 'good' | 'warn' | 'bad';
  children: ReactNode;
}) {
  return <span className={`${css.badge} ${css[tone]}`}>{children}</span>;
}
