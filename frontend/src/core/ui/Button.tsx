import type { ButtonHTMLAttributes, ReactNode } from 'react';
import { Link } from 'wouter';
import css from './Button.module.css';

type Look = 'plain' | 'primary' | 'pay' | 'danger' | 'quiet';

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: Look;
  /** Work is under way: the button keeps its place and its focus, and does nothing. */
  busy?: boolean;
}

/** A button of at least 48 px. */
export function Button({ look = 'plain', busy = false, className, onClick, ...props }: ButtonProps) {
  return (
    <button
      type="button"
      {...props}
      onClick={(event) => (busy ? event.preventDefault() : onClick?.(event))}
      aria-disabled={busy || undefined}
      data-busy={busy || undefined}
      className={`${css.button} ${css[look]} ${className ?? ''}`}
    />
  );
}

/** A link that looks like a button. */
export function ButtonLink({
  look = 'plain',
  to,
  children,
}: {
  look?: Look;
  to: string;
  children: ReactNode;
}) {
  return (
    <Link to={to} className={`${css.button} ${css[look]}`}>
      {children}
    </Link>
  );
}
