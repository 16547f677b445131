import { useT as useCore, useFormat } from '@/core/i18n';
import { newId } from '@/core/ids';
import { Button } from '@/core/ui/Button';
import { Choice, MoneyField } from '@/core/ui/Field';
import type { Method } from '../api';
import { useT } from '../messages';
import css from './Payment.module.css';
import type { Part, Settlement } from './payments';

const PAYING: readonly Method[] = ['cash', 'card', 'check'];

interface PartsProps {
  parts: Part[];
  settlement: Settlement;
  onChange: (parts: Part[]) => void;
}

/** The parts of a payment: one means for all, or several with an amount each. */
export function Parts({ parts, settlement, onChange }: PartsProps) {
  const t = useT();
  const core = useCore();
  const format = useFormat();
  const last = parts.length - 1;
  const set = (key: string, change: Partial<Part>): void =>
    onChange(parts.map((part) => (part.key === key ? { ...part, ...change } : part)));
  const options = PAYING.map((method) => ({ value: method, label: t(`method.${method}`) }));
  const split = (): void =>
    onChange([
      ...parts,
      { key: newId(), method: parts[last]?.method === 'cash' ? 'card' : 'cash', text: '' },
    ]);
  return (
    <>
      {parts.map((part, index) => (
        <div key={part.key} className={css.part}>
          <Choice
            legend={last > 0 ? t('pay.methodNth', { number: index + 1 }) : t('pay.method')}
            name={`method-${part.key}`}
            value={part.method}
            options={options}
            onChange={(method) => set(part.key, { method })}
          />
          {last > 0 && (
            <div className={css.partAmount}>
              {index < last ? (
                <MoneyField
                  label={t('pay.amountNth', { number: index + 1 })}
                  value={part.text}
                  error={
                    part.text !== '' && settlement.amounts[index] === null
                      ? core('common.badAmount')
                      : undefined
                  }
                  onChange={(event) => set(part.key, { text: event.target.value })}
                />
              ) : (
                <p className={css.rest} role="status">
                  {settlement.excess > 0 ? (
                    <strong className={css.excess}>
                      {t('pay.tooMuch', { amount: format.money(settlement.excess) })}
                    </strong>
                  ) : (
                    <>
                      {t('pay.amountNth', { number: index + 1 })}{' '}
                      <span className="amount">{format.money(settlement.amounts[index] ?? 0)}</span>
                    </>
                  )}
                </p>
              )}
              <Button look="quiet" onClick={() => onChange(parts.filter(({ key }) => key !== part.key))}>
                {core('common.remove')}
              </Button>
            </div>
          )}
        </div>
      ))}
      <div>
        <Button look="quiet" onClick={split}>
          {last > 0 ? t('pay.another') : t('pay.split')}
        </Button>
      </div>
    </>
  );
}
