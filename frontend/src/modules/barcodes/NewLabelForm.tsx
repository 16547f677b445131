import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useForm } from 'react-hook-form';
import { useT as useCore } from '@/core/i18n';
import { parseCents, parseGrams } from '@/core/money';
import { Button } from '@/core/ui/Button';
import { Failure } from '@/core/ui/Fetched';
import { MoneyField, TextField, WeightField } from '@/core/ui/Field';
import { Panel } from '@/core/ui/Page';
import { addLabel, type Label, labelsQuery, pictureOf } from './api';
import css from './Labels.module.css';
import { NAMESPACE, useT } from './messages';

export function NewLabelForm({ onMade }: { onMade: (label: Label) => void }) {
  const t = useT();
  const core = useCore();
  const client = useQueryClient();
  const { register, handleSubmit, formState, reset } = useForm({
    defaultValues: { label: '', category: '', price: '', weight: '' },
  });
  const make = useMutation({
    mutationFn: addLabel,
    onSuccess: (label) => {
      void client.invalidateQueries({ queryKey: labelsQuery.queryKey });
      reset();
      onMade(label);
    },
  });
  const { errors } = formState;
  return (
    <Panel title={t('make')}>
      <form
        className="stack"
        noValidate
        onSubmit={handleSubmit(({ label, category, price, weight }) =>
          make.mutate({
            label: label.trim(),
            category_name: category.trim() || null,
            price_cents: parseCents(price) ?? 0,
            weight_grams: weight.trim() === '' ? null : parseGrams(weight),
          }),
        )}
      >
        <TextField
          label={t('label')}
          placeholder={t('labelPlaceholder')}
          maxLength={200}
          error={errors.label?.message}
          {...register('label', { validate: (text) => text.trim() !== '' || core('common.required') })}
        />
        <TextField label={t('category')} optional maxLength={200} {...register('category')} />
        <MoneyField
          label={t('price')}
          error={errors.price?.message}
          {...register('price', {
            validate: (text) =>
              parseCents(text) !== null || core(text.trim() === '' ? 'common.required' : 'common.badAmount'),
          })}
        />
        <WeightField
          label={t('weight')}
          optional
          error={errors.weight?.message}
          {...register('weight', {
            validate: (text) => text.trim() === '' || parseGrams(text) !== null || core('common.badWeight'),
          })}
        />
        {make.isError && <Failure error={make.error} namespace={NAMESPACE} />}
        <Button type="submit" look="primary" busy={make.isPending}>
          {make.isPending ? t('creating') : t('create')}
        </Button>
      </form>
      {make.data && (
        <figure className={css.made}>
          <img
            src={pictureOf(make.data)}
            alt={t('picture', { label: make.data.label, code: make.data.code })}
            className={css.picture}
          />
          <figcaption role="status">{t('made', { label: make.data.label })}</figcaption>
        </figure>
      )}
    </Panel>
  );
}
