import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useForm } from 'react-hook-form';
import { errorText, useT as useCore, useFormat } from '@/core/i18n';
import { parseCents } from '@/core/money';
import { useMay } from '@/core/session';
import { Button } from '@/core/ui/Button';
import { Failure } from '@/core/ui/Fetched';
import { MoneyField, TextField } from '@/core/ui/Field';
import { Notice } from '@/core/ui/Notice';
import { Badge, Empty, Panel } from '@/core/ui/Page';
import { addRegister, openSession, type Register, registersQuery } from '../api';
import { NAMESPACE, useT } from '../messages';
import css from './OpenSession.module.css';

interface OpenSessionProps {
  registers: Register[];
  onChoose: (register: string) => void;
}

export function OpenSession({ registers, onChoose }: OpenSessionProps) {
  const t = useT();
  const core = useCore();
  const may = useMay('caisse');
  const free = registers.filter(({ open_session }) => !open_session);
  const [picked, setPicked] = useState<string | null>(null);
  const register =
    registers.find(({ id }) => id === picked) ?? (registers.length === 1 ? free[0] : undefined);
  return (
    <>
      <Panel title={t('open.register')}>
        {registers.length === 0 && <Empty title={t('open.none')}>{t('open.noneHint')}</Empty>}
        <ul className={css.registers}>
          {registers.map((one) => (
            <li key={one.id}>
              <RegisterKey
                register={one}
                may={may}
                pressed={may && one.id === register?.id}
                onPress={() => (one.open_session ? onChoose(one.id) : setPicked(one.id))}
              />
            </li>
          ))}
        </ul>
        {may ? (
          <AddRegister first={registers.length === 0} onAdded={setPicked} />
        ) : (
          <Notice>{core('common.readOnly')}</Notice>
        )}
      </Panel>
      {may && register && !register.open_session && (
        <FloatForm key={register.id} register={register} onOpened={() => onChoose(register.id)} />
      )}
    </>
  );
}

interface RegisterKeyProps {
  register: Register;
  may: boolean;
  pressed: boolean;
  onPress: () => void;
}

function RegisterKey(props: RegisterKeyProps) {
  const t = useT();
  const format = useFormat();
  const { name, open_session } = props.register;
  return (
    <button
      type="button"
      className={css.register}
      aria-pressed={props.pressed}
      disabled={!props.may}
      onClick={props.onPress}
    >
      <span className={css.name}>{name}</span>
      {open_session ? (
        <>
          <span className="soft">
            {t('open.busy', { operator: open_session.operator, time: format.time(open_session.opened_at) })}
          </span>
          {props.may && <span className={css.resume}>{t('open.resume')}</span>}
        </>
      ) : (
        <Badge>{t('open.free')}</Badge>
      )}
    </button>
  );
}

function FloatForm({ register, onOpened }: { register: Register; onOpened: () => void }) {
  const t = useT();
  const core = useCore();
  const client = useQueryClient();
  const { register: field, handleSubmit, formState } = useForm({ defaultValues: { float: '' } });
  const open = useMutation({
    mutationFn: (cents: number) => openSession(register.id, cents),
    onSettled: () => client.invalidateQueries({ queryKey: registersQuery.queryKey }),
    onSuccess: onOpened,
  });
  return (
    <Panel title={register.name}>
      <form
        className="stack"
        noValidate
        onSubmit={handleSubmit(({ float }) => open.mutate(parseCents(float) ?? 0))}
      >
        <MoneyField
          label={t('open.float')}
          hint={t('open.floatHint')}
          error={formState.errors.float?.message}
          placeholder="0"
          {...field('float', {
            validate: (text) => {
              const cents = text.trim() === '' ? 0 : parseCents(text);
              if (cents === null) return core('common.badAmount');
              return cents <= 1_000_000 || t('open.tooMuch');
            },
          })}
        />
        {open.isError && <Failure error={open.error} namespace={NAMESPACE} />}
        <Button type="submit" look="pay" busy={open.isPending}>
          {t('open.submit')}
        </Button>
      </form>
    </Panel>
  );
}

function AddRegister({ first, onAdded }: { first: boolean; onAdded: (register: string) => void }) {
  const t = useT();
  const core = useCore();
  const client = useQueryClient();
  const [open, setOpen] = useState(false);
  const { register: field, handleSubmit, formState, reset } = useForm({ defaultValues: { name: '' } });
  const add = useMutation({
    mutationFn: addRegister,
    onSuccess: async (made) => {
      await client.invalidateQueries({ queryKey: registersQuery.queryKey });
      onAdded(made.id);
      setOpen(false);
      reset();
    },
  });
  if (!open && !first) {
    return (
      <div>
        <Button look="quiet" onClick={() => setOpen(true)}>
          + {t('open.add')}
        </Button>
      </div>
    );
  }
  return (
    <form className={css.add} noValidate onSubmit={handleSubmit(({ name }) => add.mutate(name.trim()))}>
      <TextField
        label={t('open.name')}
        placeholder={t('open.namePlaceholder')}
        maxLength={100}
        error={formState.errors.name?.message ?? (add.isError ? errorText(add.error, NAMESPACE) : undefined)}
        {...field('name', { validate: (name) => name.trim() !== '' || core('common.required') })}
      />
      <Button type="submit" look={first ? 'primary' : 'plain'} busy={add.isPending}>
        {t('open.add')}
      </Button>
    </form>
  );
}
