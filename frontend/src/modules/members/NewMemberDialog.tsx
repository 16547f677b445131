import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useForm } from 'react-hook-form';
import { ApiError } from '@/core/api';
import { useT as useCore } from '@/core/i18n';
import { Button } from '@/core/ui/Button';
import { Dialog, DialogFooter } from '@/core/ui/Dialog';
import { Failure } from '@/core/ui/Fetched';
import { TextField } from '@/core/ui/Field';
import { Notice } from '@/core/ui/Notice';
import { addMember, type Member, type NewMember } from './api';
import { NAMESPACE, useT } from './messages';

type Match = Pick<Member, 'id' | 'number' | 'first_name' | 'last_name' | 'email'>;

interface NewMemberDialogProps {
  onClose: () => void;
  onAdded: (member: Member) => void;
}

export function NewMemberDialog({ onClose, onAdded }: NewMemberDialogProps) {
  const t = useT();
  const core = useCore();
  const client = useQueryClient();
  const { register, handleSubmit, formState, setError, getValues } = useForm<NewMember>({
    defaultValues: {
      first_name: '',
      last_name: '',
      email: '',
      phone: '',
      address: '',
      postal_code: '',
      city: '',
    },
  });
  const add = useMutation({
    mutationFn: addMember,
    onSuccess: (member) => {
      void client.invalidateQueries({ queryKey: ['members'] });
      onAdded(member);
    },
    onError: (error) => {
      if (!(error instanceof ApiError)) return;
      for (const { path } of error.fields) {
        const text =
          path === 'email' ? t('badEmail') : path === 'phone' ? t('badPhone') : core('common.required');
        if (path in getValues()) setError(path as keyof NewMember, { message: text });
      }
    },
  });
  const matches = matchesOf(add.error);
  const { errors } = formState;
  const needed = { validate: (text: string) => text.trim() !== '' || core('common.required') };
  return (
    <Dialog open onClose={onClose} title={t('addTitle')}>
      <form className="stack" noValidate onSubmit={handleSubmit((member) => add.mutate(member))}>
        <div className="pair">
          <TextField
            label={t('first')}
            error={errors.first_name?.message}
            {...register('first_name', needed)}
          />
          <TextField label={t('last')} error={errors.last_name?.message} {...register('last_name', needed)} />
        </div>
        <TextField
          label={t('email')}
          type="email"
          optional
          error={errors.email?.message}
          {...register('email')}
        />
        <TextField
          label={t('phone')}
          type="tel"
          optional
          error={errors.phone?.message}
          {...register('phone')}
        />
        <TextField label={t('address')} optional {...register('address')} />
        <div className="pair">
          <TextField label={t('postalCode')} optional inputMode="numeric" {...register('postal_code')} />
          <TextField label={t('city')} optional {...register('city')} />
        </div>
        {matches ? (
          <Notice
            tone="warn"
            action={
              <Button onClick={() => add.mutate({ ...getValues(), confirm_duplicate: true })}>
                {t('anyway')}
              </Button>
            }
          >
            {t('duplicate')}
            {matches.map((match) => (
              <div key={match.id}>
                <strong>
                  {match.number} · {match.last_name} {match.first_name}
                </strong>{' '}
                {match.email}
              </div>
            ))}
          </Notice>
        ) : (
          add.isError && <Failure error={add.error} namespace={NAMESPACE} />
        )}
        <DialogFooter>
          <Button type="submit" look="primary" busy={add.isPending}>
            {add.isPending ? t('working') : t('add')}
          </Button>
        </DialogFooter>
      </form>
    </Dialog>
  );
}

function matchesOf(error: unknown): Match[] | null {
  if (!(error instanceof ApiError) || error.code !== 'possible_duplicate') return null;
  return Array.isArray(error.details.matches) ? (error.details.matches as Match[]) : [];
}
