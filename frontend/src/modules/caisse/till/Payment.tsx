/** Completing a sale: donation, means of payment, change due. */
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { useT as useCore, useFormat, useLocale } from '@/core/i18n';
import { newId } from '@/core/ids';
import { centsForInput, parseCents } from '@/core/money';
import { Button } from '@/core/ui/Button';
import { Dialog, DialogFooter } from '@/core/ui/Dialog';
import { Failure } from '@/core/ui/Fetched';
import { MoneyField } from '@/core/ui/Field';
import { recordTicket, type Ticket } from '../api';
import { NAMESPACE, useT } from '../messages';
import { type Basket, linesToSend, totalOf } from './basket';
import { Parts } from './Parts';
import css from './Payment.module.css';
import { keepingChange, likelyNotes, type Part, paymentsToSend, type Settlement, settle } from './payments';

interface PaymentProps {
  session: string;
  basket: Basket;
  onClose: () => void;
  onRecorded: (ticket: Ticket) => void;
}

export function Payment({ session, basket, onClose, onRecorded }: PaymentProps) {
  const t = useT();
  const core = useCore();
  const format = useFormat();
  const locale = useLocale();
  const [donation, setDonation] = useState('');
  const [tendered, setTendered] = useState('');
  const [parts, setParts] = useState<Part[]>(() => [{ key: newId(), method: 'cash', text: '' }]);
  const donationCents = donation.trim() === '' ? 0 : parseCents(donation);
  const settlement = settle(totalOf(basket.lines) + (donationCents ?? 0), parts, tendered);
  const empty = settlement.due === 0 && basket.lines.length === 0;
  const record = useMutation({
    mutationFn: () =>
      recordTicket(session, {
        client_id: basket.client_id,
        lines: linesToSend(basket.lines),
        payments: paymentsToSend(parts, settlement),
        donation_cents: donationCents ?? 0,
        note: '',
      }),
    onSuccess: onRecorded,
  });
  function keepChange(): void {
    const write = (cents: number): string => centsForInput(cents, locale);
    setParts(keepingChange(parts, settlement, write));
    setDonation(write((donationCents ?? 0) + settlement.change));
  }
  const ready = settlement.valid && donationCents !== null && !empty;

  function submit(event: FormEvent): void {
    event.preventDefault();
    if (ready && !record.isPending) record.mutate();
  }
  return (
    <Dialog open onClose={() => record.isPending || onClose()} title={t('pay.title')}>
      <form className="stack" noValidate onSubmit={submit}>
        <p className={css.due}>
          <span>{t('pay.due')}</span>
          <span className="amount">{format.money(settlement.due)}</span>
        </p>
        {settlement.due > 0 ? (
          <>
            <Parts parts={parts} settlement={settlement} onChange={setParts} />
            {settlement.cash > 0 && (
              <Tendered settlement={settlement} text={tendered} onChange={setTendered} />
            )}
          </>
        ) : (
          <p className="soft">{empty ? t('pay.nothing') : t('pay.freeHint')}</p>
        )}
        <MoneyField
          label={t('pay.donation')}
          optional
          hint={t('pay.donationHint')}
          value={donation}
          error={donationCents === null ? core('common.badAmount') : undefined}
          onChange={(event) => setDonation(event.target.value)}
        />
        {settlement.change > 0 && (
          <Button onClick={keepChange}>
            {t('pay.keep')} · {format.money(settlement.change)}
          </Button>
        )}
        <DialogFooter>
          {record.isError && <Failure error={record.error} namespace={NAMESPACE} />}
          <Button type="submit" look="pay" busy={record.isPending} disabled={!ready}>
            {record.isPending
              ? t('pay.working')
              : settlement.due > 0 || empty
                ? t('pay.confirm', { amount: format.money(settlement.due) })
                : t('pay.confirmFree')}
          </Button>
        </DialogFooter>
      </form>
    </Dialog>
  );
}

interface TenderedProps {
  settlement: Settlement;
  text: string;
  onChange: (text: string) => void;
}

/** What the person hands over in cash, and what they get back. */
function Tendered({ settlement, text, onChange }: TenderedProps) {
  const t = useT();
  const core = useCore();
  const format = useFormat();
  const locale = useLocale();
  const unreadable = text.trim() !== '' && settlement.tendered === null;
  return (
    <div className={css.tendered}>
      <MoneyField
        label={t('pay.tendered')}
        optional
        value={text}
        hint={t('pay.tenderedHint')}
        error={unreadable ? core('common.badAmount') : settlement.tooShort ? t('pay.short') : undefined}
        onChange={(event) => onChange(event.target.value)}
      />
      <div className={css.notes}>
        <Button aria-pressed={text === ''} onClick={() => onChange('')}>
          {t('pay.exact')}
        </Button>
        {likelyNotes(settlement.cash).map((note) => (
          <Button
            key={note}
            aria-pressed={settlement.tendered === note}
            onClick={() => onChange(centsForInput(note, locale))}
          >
            {format.money(note)}
          </Button>
        ))}
      </div>
      <p className={css.change} role="status">
        <span>{t('pay.change')}</span>
        <span className="amount">{format.money(settlement.change)}</span>
      </p>
    </div>
  );
}
