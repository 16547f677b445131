import type { ReactNode } from 'react';
import css from './Notice.module.css';

interface NoticeProps {
  tone?: 'info' | 'good' | 'warn' | 'bad';
  children: ReactNode;
  action?: ReactNode;
}

/** A message in the flow of the page. Bad news interrupts a screen reader, other news waits its turn. */
export function Notice({ tone = 'info', children, action }: NoticeProps) {
  return (
    <div className={`${css.notice} ${css[tone]}`} role={tone === 'bad' ? 'alert' : 'status'}>
      <span className={css.mark} aria-hidden="true">
        {{ info: 'i', good: '✓', warn: '!', bad: '!' }[tone]}
      </span>
      <div className={css.text}>{children}</div>
      {action && <div className={css.action}>{action}</div>}
    </div>
  );
}
