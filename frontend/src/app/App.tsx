/** Routes of the shell; everything under `/modules/<id>` belongs to that module. */
import { lazy, Suspense } from 'react';
import { Redirect, Route, Switch, useLocation, useSearch } from 'wouter';
import { errorText, useT } from '@/core/i18n';
import { UiProvider, useUiQuery } from '@/core/session';
import { Button } from '@/core/ui/Button';
import { Loading } from '@/core/ui/Loading';
import { Empty } from '@/core/ui/Page';
import { Home } from './Home';
import { ModulePages } from './ModulePages';
import { NotFound } from './NotFound';
import { Shell } from './Shell';
import { SignIn } from './SignIn';

const Settings = lazy(() => import('./Settings'));

export function App() {
  const t = useT();
  const { data: ui, error, isPending, refetch } = useUiQuery();
  if (isPending) return <Loading />;
  if (!ui) {
    return (
      <main>
        <Empty
          title={t('page.unreachable')}
          action={
            <Button look="primary" onClick={() => refetch()}>
              {t('common.retry')}
            </Button>
          }
        >
          {errorText(error)}
        </Empty>
      </main>
    );
  }
  return (
    <UiProvider ui={ui}>
      <Switch>
        <Route path="/sign-in" component={SignIn} />
        <Route>{ui.user ? <Inside /> : <ToSignIn />}</Route>
      </Switch>
    </UiProvider>
  );
}

function Inside() {
  return (
    <Shell>
      <Suspense fallback={<Loading />}>
        <Switch>
          <Route path="/" component={Home} />
          <Route path="/settings" component={Settings} />
          <Route path="/modules/:module/*?">{({ module }) => <ModulePages module={module} />}</Route>
          <Route component={NotFound} />
        </Switch>
      </Suspense>
    </Shell>
  );
}

/** Remembers where the person wanted to go, or was when their session ended. */
function ToSignIn() {
  const [pathname] = useLocation();
  const search = useSearch();
  const next = search ? `${pathname}?${search}` : pathname;
  return <Redirect replace to={next === '/' ? '/sign-in' : `/sign-in?next=${encodeURIComponent(next)}`} />;
}
