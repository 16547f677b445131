/** A line that waits: what stands in the notebook, why it waits, and the form to decide. */
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useId } from 'react';
import { useForm } from 'react-hook-form';
import { ApiError } from '@/core/api';
import { useT as useCore, useFormat, useLocale } from '@/core/i18n';
import { centsForInput, gramsForInput, parseCents, parseGrams } from '@/core/money';
import { useMay } from '@/core/session';
import { Button } from '@/core/ui/Button';
import { Failure } from '@/core/ui/Fetched';
import { MoneyField, SelectField, TextField, WeightField } from '@/core/ui/Field';
import { Badge } from '@/core/ui/Page';
import { type Decision, decideLine, type ImportLine, METHODS, type Method } from '../api';
import { NAMESPACE, useT } from '../messages';
import css from './Notebook.module.css';
import { useReason } from './reasons';

interface Form {
  date: string;
  kind: string;
  price: string;
  weight: string;
  category: string;
  label: string;
  method: string;
  reason: string;
}

export function HeldLine({ report, line }: { report: string; line: ImportLine }) {
  const t = useT();
  const format = useFormat();
  const reason = useReason();
  const may = useMay('caisse');
  const title = useId();
  return (
    <li>
      <article className={css.line} aria-labelledby={title}>
        <div className={css.head}>
          <h3 id={title}>{t('notebook.line', { line: line.line })}</h3>
          {line.reasons.map((code) => (
            <Badge key={code} tone="warn">
              {reason(code)}
            </Badge>
          ))}
        </div>
        <p>
          <strong>{line.label || line.category || '–'}</strong>
          <span className="soft">
            {' '}
            ·{' '}
            {[
              line.category,
              line.date ? format.day(line.date) : t('notebook.unknownDay'),
              line.price_cents === null ? t('notebook.unknownPrice') : format.money(line.price_cents),
              line.weight_grams !== null && format.weight(line.weight_grams),
              line.method && t(`method.${line.method}`),
              line.notes,
            ]
              .filter(Boolean)
              .join(' · ')}
          </span>
        </p>
        {may && <DecisionForm report={report} line={line} />}
      </article>
    </li>
  );
}

function DecisionForm({ report, line }: { report: string; line: ImportLine }) {
  const t = useT();
  const core = useCore();
  const locale = useLocale();
  const client = useQueryClient();
  const {
    register: field,
    handleSubmit,
    formState,
    getValues,
    setError,
  } = useForm<Form>({
    defaultValues: {
      date: line.date ?? '',
      kind: kindOf(line),
      price: line.price_cents === null ? '' : centsForInput(line.price_cents, locale),
      weight: line.weight_grams === null ? '' : gramsForInput(line.weight_grams, locale),
      category: line.category,
      label: line.label,
      method: line.method ?? '',
      reason: '',
    },
  });
  const decide = useMutation({
    mutationFn: (decision: Decision) => decideLine(report, line.line, decision),
    onSuccess: () => client.invalidateQueries({ queryKey: ['caisse'] }),
    onError: (error) => {
      // Where the host names a field, the message belongs beside it.
      for (const { path } of error instanceof ApiError ? error.fields : []) {
        const name = path === 'type' ? 'kind' : path;
        if (name in getValues()) setError(name as keyof Form, { message: core('common.required') });
      }
    },
  });
  const { errors } = formState;
  const discard = (): void => {
    const reason = getValues('reason').trim();
    if (reason === '')
      setError('reason', { message: t('notebook.discardNeedsReason') }, { shouldFocus: true });
    else decide.mutate({ decision: 'discard', reason });
  };
  return (
    <form className="stack" noValidate onSubmit={handleSubmit((form) => decide.mutate(toDecision(form)))}>
      <div className={css.fields}>
        <TextField
          type="date"
          label={t('notebook.date')}
          error={errors.date?.message}
          {...field('date', { required: core('common.required') })}
        />
        <MoneyField
          label={t('notebook.price')}
          error={errors.price?.message}
          {...field('price', {
            validate: (text) =>
              parseCents(text) !== null || core(text.trim() === '' ? 'common.required' : 'common.badAmount'),
          })}
        />
        <SelectField
          label={t('notebook.method')}
          defaultValue={line.method ?? ''}
          error={errors.method?.message}
          {...field('method', { required: core('common.required') })}
        >
          <option value="">{t('notebook.choosePlease')}</option>
          {METHODS.map((method) => (
            <option key={method} value={method}>
              {t(`method.${method}`)}
            </option>
          ))}
        </SelectField>
        <SelectField
          label={t('notebook.kindLabel')}
          defaultValue={kindOf(line)}
          error={errors.kind?.message}
          {...field('kind', { required: core('common.required') })}
        >
          <option value="">{t('notebook.choosePlease')}</option>
          <option value="sale">{t('kind.sale')}</option>
          <option value="donation">{t('kind.donation')}</option>
        </SelectField>
        <WeightField
          label={t('notebook.weight')}
          optional
          error={errors.weight?.message}
          {...field('weight', {
            validate: (text) => text.trim() === '' || parseGrams(text) !== null || core('common.badWeight'),
          })}
        />
        <TextField label={t('notebook.category')} maxLength={200} {...field('category')} />
        <TextField label={t('notebook.label')} maxLength={200} {...field('label')} />
      </div>
      <TextField
        label={t('notebook.reason')}
        optional
        maxLength={1000}
        error={errors.reason?.message}
        {...field('reason')}
      />
      {decide.isError && <Failure error={decide.error} namespace={NAMESPACE} />}
      <div className="row">
        <Button type="submit" look="primary" busy={decide.isPending}>
          {t('notebook.book')}
        </Button>
        <Button look="danger" busy={decide.isPending} onClick={discard}>
          {t('notebook.discard')}
        </Button>
      </div>
    </form>
  );
}

/** What was given away is booked as a donation of 0. */
function kindOf({ kind }: ImportLine): string {
  return kind === 'gift' ? 'donation' : (kind ?? '');
}

function toDecision(form: Form): Decision {
  const price = parseCents(form.price);
  const weight = form.weight.trim() === '' ? null : parseGrams(form.weight);
  return {
    decision: 'book',
    date: form.date,
    kind: form.kind as 'sale' | 'donation',
    method: form.method as Method,
    category: form.category.trim(),
    label: form.label.trim(),
    reason: form.reason.trim(),
    ...(price === null ? {} : { price_cents: price }),
    ...(weight === null ? {} : { weight_grams: weight }),
  };
}
