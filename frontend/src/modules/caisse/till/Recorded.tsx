/** The ticket is recorded: what to give back, and on with the next sale. */
import { useFormat } from '@/core/i18n';
import { Button, ButtonLink } from '@/core/ui/Button';
import { Dialog } from '@/core/ui/Dialog';
import type { Ticket } from '../api';
import { useT } from '../messages';
import css from './Payment.module.css';

interface RecordedProps {
  ticket: Ticket;
  onClose: () => void;
  returnFocus: () => void;
}

export function Recorded({ ticket, onClose, returnFocus }: RecordedProps) {
  const t = useT();
  const format = useFormat();
  const cash = ticket.payments.find(({ method }) => method === 'cash');
  const change = cash?.tendered_cents ? cash.tendered_cents - cash.amount_cents : 0;
  return (
    <Dialog
      open
      onClose={onClose}
      returnFocus={returnFocus}
      title={t('recorded.title', { number: ticket.number })}
    >
      <div className={css.done} role="status">
        <span className={css.check} aria-hidden="true">
          ✓
        </span>
        <span className="amount">{format.money(ticket.total_cents)}</span>
        {change > 0 && (
          <p className={css.back}>
            <span>{t('pay.change')}</span>
            <span className="amount">{format.money(change)}</span>
          </p>
        )}
        {ticket.donation_cents > 0 && (
          <p>{t('recorded.thanks', { amount: format.money(ticket.donation_cents) })}</p>
        )}
      </div>
      <Button look="primary" onClick={onClose} autoFocus>
        {t('recorded.again')}
      </Button>
      <ButtonLink to={`/modules/caisse/ventes/${ticket.id}`} look="quiet">
        {t('recorded.see')}
      </ButtonLink>
    </Dialog>
  );
}
