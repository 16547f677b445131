import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useEffect } from 'react';
import { Redirect, useSearchParams } from 'wouter';
import { LOCALES, setLocale, useLocale, useT } from '@/core/i18n';
import { sessionEnded, signIn, useUi } from '@/core/session';
import { Button } from '@/core/ui/Button';
import { Failure } from '@/core/ui/Fetched';
import { TextField } from '@/core/ui/Field';
import { Notice } from '@/core/ui/Notice';
import { Mark } from './Mark';
import css from './SignIn.module.css';

/** Only paths of this app: a link must not send anyone elsewhere after signing in. */
function safePath(next: string | null): string {
  return next?.startsWith('/') && !/^\/[/\\]/.test(next) && !next.startsWith('/sign-in') ? next : '/';
}

export function SignIn() {
  const t = useT();
  const client = useQueryClient();
  const [search] = useSearchParams();
  const next = search.get('next');
  const enter = useMutation({
    mutationFn: ({ name, password }: { name: string; password: string }) => signIn(client, name, password),
  });
  useEffect(() => {
    document.title = `${t('signIn.title')} · Recyclic`;
  }, [t]);
  if (useUi().user) return <Redirect replace to={safePath(next)} />;

  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    enter.mutate({ name: String(form.get('name')).trim(), password: String(form.get('password')) });
  }
  return (
    <main className={css.page}>
      <div className={css.card}>
        <div className={css.brand}>
          <Mark />
          <span>Recyclic</span>
        </div>
        <h1>{t('signIn.title')}</h1>
        {sessionEnded() ? <Notice>{t('signIn.ended')}</Notice> : <p className="soft">{t('signIn.intro')}</p>}
        <form className="stack" onSubmit={submit}>
          <TextField
            label={t('signIn.name')}
            name="name"
            autoComplete="username"
            autoCapitalize="none"
            required
          />
          <TextField
            label={t('signIn.password')}
            name="password"
            type="password"
            autoComplete="current-password"
            required
          />
          {enter.isError && <Failure error={enter.error} />}
          <Button type="submit" look="primary" busy={enter.isPending}>
            {enter.isPending ? t('signIn.working') : t('signIn.submit')}
          </Button>
        </form>
        <Languages />
      </div>
    </main>
  );
}

function Languages() {
  const locale = useLocale();
  const names = { fr: 'Français', en: 'English' };
  return (
    <div className={css.languages}>
      {LOCALES.map((one) => (
        <Button
          key={one}
          look="quiet"
          lang={one}
          aria-pressed={one === locale}
          onClick={() => setLocale(one)}
        >
          {names[one]}
        </Button>
      ))}
    </div>
  );
}
