import * as Radix from '@radix-ui/react-dialog';
import type { ReactNode } from 'react';
import { useT } from '../i18n';
import css from './Dialog.module.css';

interface DialogProps {
  open: boolean;
  onClose: () => void;
  title: ReactNode;
  children: ReactNode;
  /** Puts the focus where the work goes on, in place of what opened the dialog. */
  returnFocus?: () => void;
}

/** What ends the task: always in sight at the foot of the dialog. */
export function DialogFooter({ children }: { children: ReactNode }) {
  return <div className={css.footer}>{children}</div>;
}

/** A task of its own above the page: holds the focus, closes with Escape, fills the screen on a phone. */
export function Dialog({ open, onClose, title, children, returnFocus }: DialogProps) {
  const t = useT();
  return (
    <Radix.Root open={open} onOpenChange={(next) => next || onClose()}>
      <Radix.Portal>
        <Radix.Overlay className={css.overlay} />
        <Radix.Content
          className={css.dialog}
          aria-describedby={undefined}
          onCloseAutoFocus={(event) => {
            if (!returnFocus) return;
            event.preventDefault();
            returnFocus();
          }}
        >
          <header className={css.header}>
            <Radix.Title>{title}</Radix.Title>
            <Radix.Close className={css.close} aria-label={t('common.close')}>
              ×
            </Radix.Close>
          </header>
          <div className={css.body}>{children}</div>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
