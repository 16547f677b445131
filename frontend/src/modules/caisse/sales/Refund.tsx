/** Taking items back and giving their money back, in a session that is open. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useForm } from 'react-hook-form';
import { useLocation } from 'wouter';
import { useT as useCore, useFormat } from '@/core/i18n';
import { newId } from '@/core/ids';
import { Button } from '@/core/ui/Button';
import { Dialog, DialogFooter } from '@/core/ui/Dialog';
import { Failure, Fetched } from '@/core/ui/Fetched';
import { Choice, SelectField, Stepper, TextField } from '@/core/ui/Field';
import { Notice } from '@/core/ui/Notice';
import { type Method, type Register, refundTicket, registersQuery, type Ticket } from '../api';
import { NAMESPACE, useT } from '../messages';
import { chosenRegister } from '../till/chosen';
import css from './Refund.module.css';

export function Refund({ ticket, onClose }: { ticket: Ticket; onClose: () => void }) {
  const t = useT();
  const registers = useQuery(registersQuery);
  return (
    <Dialog open onClose={onClose} title={t('refund.title', { number: ticket.number })}>
      <Fetched query={registers} namespace={NAMESPACE}>
        {(list) => {
          const open = list.filter(({ open_session }) => open_session);
          return open.length > 0 ? (
            <RefundForm ticket={ticket} registers={open} />
          ) : (
            <Notice tone="warn">{t('refund.noSession')}</Notice>
          );
        }}
      </Fetched>
    </Dialog>
  );
}

interface Form {
  session: string;
  reason: string;
}

function RefundForm({ ticket, registers }: { ticket: Ticket; registers: Register[] }) {
  const t = useT();
  const core = useCore();
  const format = useFormat();
  const client = useQueryClient();
  const [, navigate] = useLocation();
  const [clientId] = useState(newId);
  const [returned, setReturned] = useState<Record<string, number>>({});
  const [method, setMethod] = useState<Method>(() => methodOf(ticket));
  const here = registers.find(({ id }) => id === chosenRegister()) ?? registers[0];
  const {
    register: field,
    handleSubmit,
    formState,
  } = useForm<Form>({
    defaultValues: { session: here?.open_session?.id ?? '', reason: '' },
  });
  const total = ticket.lines.reduce((sum, line) => sum + (returned[line.id] ?? 0) * line.unit_price_cents, 0);
  const some = Object.values(returned).some((quantity) => quantity > 0);
  const refund = useMutation({
    mutationFn: ({ session, reason }: Form) =>
      refundTicket(ticket.id, {
        session_id: session,
        method: total === 0 ? 'free' : method,
        reason: reason.trim(),
        client_id: clientId,
        lines: Object.entries(returned)
          .filter(([, quantity]) => quantity > 0)
          .map(([line_id, quantity]) => ({ line_id, quantity })),
      }),
    onSuccess: async (made) => {
      await client.invalidateQueries({ queryKey: ['caisse'] });
      navigate(`/modules/caisse/ventes/${made.id}`);
    },
  });
  return (
    <form className="stack" noValidate onSubmit={handleSubmit((form) => some && refund.mutate(form))}>
      <h3>{t('refund.lines')}</h3>
      <ul className={css.lines}>
        {ticket.lines.map((line) => {
          const name = line.label || line.category?.name || '';
          return (
            <li key={line.id} className={css.line}>
              <span>
                {name}
                <span className={`soft ${css.sold}`}>
                  {t('refund.sold', { count: line.quantity, price: format.money(line.unit_price_cents) })}
                </span>
              </span>
              <Stepper
                label={t('basket.quantityOf', { label: name })}
                min={0}
                max={line.quantity}
                value={returned[line.id] ?? 0}
                onChange={(quantity) => setReturned({ ...returned, [line.id]: quantity })}
              />
            </li>
          );
        })}
      </ul>
      {registers.length > 1 && (
        <SelectField label={t('refund.session')} {...field('session')}>
          {registers.map((register) => (
            <option key={register.id} value={register.open_session?.id}>
              {register.name}
            </option>
          ))}
        </SelectField>
      )}
      <Choice
        legend={t('refund.method')}
        name="method"
        value={method}
        options={(['cash', 'card', 'check'] as const).map((one) => ({
          value: one,
          label: t(`method.${one}`),
        }))}
        onChange={setMethod}
      />
      <TextField
        label={t('refund.reason')}
        placeholder={t('refund.reasonPlaceholder')}
        maxLength={1000}
        error={formState.errors.reason?.message}
        {...field('reason', { validate: (text) => text.trim() !== '' || core('common.required') })}
      />
      {refund.isError && <Failure error={refund.error} namespace={NAMESPACE} />}
      {!some && <p className="soft">{t('refund.none')}</p>}
      <DialogFooter>
        <Button type="submit" look="primary" disabled={!some} busy={refund.isPending}>
          {t('refund.submit', { amount: format.money(total) })}
        </Button>
      </DialogFooter>
    </form>
  );
}

function methodOf(ticket: Ticket): Method {
  const [first] = ticket.payments;
  return first && first.method !== 'free' ? first.method : 'cash';
}
