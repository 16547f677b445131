/** One line to add: price, quantity, weight, label. */
import { type FormEvent, useEffect, useRef, useState } from 'react';
import { useT as useCore, useFormat, useLocale } from '@/core/i18n';
import { centsForInput, parseCents, parseGrams } from '@/core/money';
import { Button } from '@/core/ui/Button';
import { MoneyField, Stepper, TextField, WeightField } from '@/core/ui/Field';
import { Panel } from '@/core/ui/Page';
import type { Category } from '../api';
import { useT } from '../messages';
import type { Line } from './basket';
import css from './Entry.module.css';

interface EntryProps {
  category: Category | null;
  onAdd: (line: Omit<Line, 'key'>) => void;
  onBack: () => void;
}

const USUAL = [50, 100, 200, 300, 500, 800, 1000, 1500, 2000, 3000, 5000];

/** Prices that are likely for a category: its limits, and round ones between them. */
export function usualPrices({
  min_price_cents: min,
  max_price_cents: max,
}: Pick<Category, 'min_price_cents' | 'max_price_cents'>): number[] {
  const within = USUAL.filter((price) => price >= (min ?? 0) && price <= (max ?? Number.POSITIVE_INFINITY));
  const all = new Set([...(min ? [min] : []), ...within.slice(0, 7), ...(max ? [max] : [])]);
  return [...all].sort((a, b) => a - b);
}

export function Entry({ category, onAdd, onBack }: EntryProps) {
  const t = useT();
  const core = useCore();
  const format = useFormat();
  const locale = useLocale();
  const [label, setLabel] = useState('');
  const [price, setPrice] = useState('');
  const [weight, setWeight] = useState('');
  const [quantity, setQuantity] = useState(1);
  const [tried, setTried] = useState(false);
  const cents = parseCents(price);
  const grams = weight.trim() === '' ? null : parseGrams(weight);
  const badWeight = weight.trim() !== '' && grams === null;
  const needsLabel = !category && label.trim() === '';
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    // A tablet would open its keyboard over the usual prices.
    const keyboard = window.matchMedia?.('(pointer: fine)').matches;
    const first = category ? '[name=price]' : '[name=label]';
    form.current?.querySelector<HTMLElement>(keyboard ? first : 'h2')?.focus();
  }, [category]);

  function submit(event: FormEvent): void {
    event.preventDefault();
    setTried(true);
    if (cents === null || badWeight || needsLabel) return;
    onAdd({
      label: label.trim(),
      category: category?.name ?? null,
      category_id: category?.id ?? null,
      category_name: null,
      quantity,
      weight_grams: grams,
      unit_price_cents: cents,
      code: null,
    });
  }
  return (
    <Panel>
      <form
        ref={form}
        className="stack"
        noValidate
        onSubmit={submit}
        onKeyDown={(event) => event.key === 'Escape' && onBack()}
      >
        <div className="row spread">
          <h2 tabIndex={-1} className={css.heading}>
            {category?.name ?? t('sell.loose')}
          </h2>
          <Button look="quiet" onClick={onBack}>
            ← {t('sell.all')}
          </Button>
        </div>
        <MoneyField
          label={t('entry.price')}
          name="price"
          value={price}
          className={css.price}
          hint={rangeText(category, t, format.money)}
          error={(tried || price !== '') && cents === null ? core('common.badAmount') : undefined}
          onChange={(event) => setPrice(event.target.value)}
        />
        <fieldset className={css.chips} aria-label={t('entry.chips')}>
          {usualPrices(category ?? { min_price_cents: null, max_price_cents: null }).map((usual) => (
            <Button
              key={usual}
              aria-pressed={cents === usual}
              className={css.chip}
              onClick={() => setPrice(centsForInput(usual, locale))}
            >
              {format.money(usual)}
            </Button>
          ))}
        </fieldset>
        <div className={css.pair}>
          <div className={css.quantity}>
            <span aria-hidden="true">{t('entry.quantity')}</span>
            <Stepper label={t('entry.quantity')} value={quantity} onChange={setQuantity} />
          </div>
          <WeightField
            label={t('entry.weight')}
            optional
            value={weight}
            hint={t('entry.weightHint')}
            error={badWeight ? core('common.badWeight') : undefined}
            onChange={(event) => setWeight(event.target.value)}
          />
        </div>
        <TextField
          label={t('entry.label')}
          name="label"
          optional={category !== null}
          value={label}
          maxLength={200}
          placeholder={category?.name}
          error={tried && needsLabel ? t('entry.labelNeeded') : undefined}
          onChange={(event) => setLabel(event.target.value)}
        />
        <Button type="submit" look="primary" className={css.add}>
          {cents === null ? t('entry.addPlain') : t('entry.add', { total: format.money(cents * quantity) })}
        </Button>
      </form>
    </Panel>
  );
}

function rangeText(
  category: Category | null,
  t: ReturnType<typeof useT>,
  money: (cents: number) => string,
): string | undefined {
  const min = category?.min_price_cents ?? null;
  const max = category?.max_price_cents ?? null;
  if (min === null && max === null) return undefined;
  if (min !== null && max !== null)
    return t('entry.range', { range: t('entry.between', { min: money(min), max: money(max) }) });
  return t('entry.range', {
    range:
      min !== null ? t('entry.atLeast', { min: money(min) }) : t('entry.atMost', { max: money(max ?? 0) }),
  });
}
