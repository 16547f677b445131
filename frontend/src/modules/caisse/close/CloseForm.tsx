/** Counting the drawer and closing the session. */
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useForm } from 'react-hook-form';
import { ApiError } from '@/core/api';
import { useT as useCore, useLocale } from '@/core/i18n';
import { centsForInput, parseCents } from '@/core/money';
import { Button } from '@/core/ui/Button';
import { Failure } from '@/core/ui/Fetched';
import { MoneyField, TextField } from '@/core/ui/Field';
import { Panel } from '@/core/ui/Page';
import { closeSession, type Session, sessionQuery } from '../api';
import { NAMESPACE, useT } from '../messages';
import { DrawerCount } from './DrawerCount';
import css from './Session.module.css';
import { Theoretical } from './Theoretical';
import { Variance } from './Variance';

/** A larger variance needs a comment; the host has the last word on the threshold. */
const THRESHOLD_CENTS = 5;

interface Form {
  counted: string;
  comment: string;
}

export function CloseForm({ session }: { session: Session }) {
  const t = useT();
  const core = useCore();
  const locale = useLocale();
  const client = useQueryClient();
  const {
    register: field,
    handleSubmit,
    formState,
    watch,
    setValue,
  } = useForm<Form>({
    defaultValues: { counted: '', comment: '' },
  });
  const close = useMutation({
    mutationFn: ({ counted, comment }: Form) =>
      closeSession(session.id, parseCents(counted) ?? 0, comment.trim()),
    onSuccess: (closed) => {
      client.setQueryData(sessionQuery(session.id).queryKey, closed);
      void client.invalidateQueries({ queryKey: ['caisse', 'registers'] });
    },
    onError: () => client.invalidateQueries({ queryKey: sessionQuery(session.id).queryKey }),
  });
  const counted = parseCents(watch('counted'));
  const variance = counted === null ? null : counted - session.theoretical_cash_cents;
  const demanded = close.error instanceof ApiError && close.error.code === 'variance_comment_required';
  const comment = demanded || (variance !== null && Math.abs(variance) > THRESHOLD_CENTS);
  return (
    <Panel title={t('session.control')}>
      <Theoretical session={session} />
      <form className="stack" noValidate onSubmit={handleSubmit((form) => close.mutate(form))}>
        <MoneyField
          label={t('session.countedLabel')}
          hint={t('session.countedHint')}
          className={css.counted}
          error={formState.errors.counted?.message}
          {...field('counted', {
            validate: (text) =>
              parseCents(text) !== null || core(text.trim() === '' ? 'common.required' : 'common.badAmount'),
          })}
        />
        <DrawerCount
          onCount={(cents) => setValue('counted', centsForInput(cents, locale), { shouldValidate: true })}
        />
        {variance !== null && <Variance cents={variance} />}
        {comment && (
          <TextField
            label={t('session.comment')}
            hint={t('session.commentHint')}
            maxLength={1000}
            error={formState.errors.comment?.message}
            {...field('comment', { validate: (text) => text.trim() !== '' || t('session.commentNeeded') })}
          />
        )}
        {close.isError && <Failure error={close.error} namespace={NAMESPACE} />}
        <Button type="submit" look="pay" busy={close.isPending}>
          {close.isPending ? t('session.closing') : t('session.close')}
        </Button>
        <p className="soft">{t('session.final')}</p>
      </form>
    </Panel>
  );
}
