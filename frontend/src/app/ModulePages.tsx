/** The pages of the module named in the address, loaded when they are first asked for. */
import { useState } from 'react';
import { Boundary } from '@/core/Boundary';
import { useT } from '@/core/i18n';
import { ChunkError, ModuleRegistry } from '@/core/ModuleRegistry';
import { useUi } from '@/core/session';
import { Button } from '@/core/ui/Button';
import { Empty, Page } from '@/core/ui/Page';
import { NotFound } from './NotFound';

export function ModulePages({ module }: { module: string }) {
  const enabled = useUi().modules.some(({ id }) => id === module);
  if (!enabled) return <NotFound />;
  return (
    <Boundary
      key={module}
      onRetry={() => ModuleRegistry.retryPages(module)}
      fallback={(error, retry) => <PageFailed error={error} retry={retry} />}
    >
      <Pages module={module} />
    </Boundary>
  );
}

function Pages({ module }: { module: string }) {
  const [Component] = useState(() => ModuleRegistry.pages(module));
  return Component ? <Component /> : <NotFound />;
}

function PageFailed({ error, retry }: { error: Error; retry: () => void }) {
  const t = useT();
  const chunk = error instanceof ChunkError;
  return (
    <Page title={t(chunk ? 'page.chunk' : 'page.failed')}>
      <div role="alert">
        <Empty
          title={chunk ? t('page.chunkHint') : t('errors.unexpected')}
          action={
            <div className="row">
              <Button look="primary" onClick={retry}>
                {t('common.retry')}
              </Button>
              <Button onClick={() => window.location.reload()}>{t('common.reload')}</Button>
            </div>
          }
        />
      </div>
    </Page>
  );
}
