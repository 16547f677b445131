/**
 * A place in a page that other modules fill. Draws the extensions that the host names for this user, each on its own
 * ground: one that loads slowly, breaks or is unknown to this build leaves the page and its neighbours alone.
 */
import { Suspense, useLayoutEffect, useState } from 'react';
import { Boundary } from './Boundary';
import { useT } from './i18n';
import { ChunkError, ModuleRegistry } from './ModuleRegistry';
import { type UiExtension, useUi } from './session';
import type { SlotName, SlotProps } from './slots.gen';
import { Button } from './ui/Button';
import { Loading } from './ui/Loading';
import { Notice } from './ui/Notice';

type State = 'loading' | 'ready' | 'error';

/** Draw every extension of the slot `name` and hand `context` to each. Nothing at all when there is none. */
export function ModuleSlot<S extends SlotName>({ name, context }: { name: S; context: SlotProps[S] }) {
  const extensions = useUi().slots[name] ?? [];
  return extensions.map((extension) => (
    <Extension
      key={`${extension.module}/${extension.component}`}
      extension={extension}
      context={context as Record<string, unknown>}
    />
  ));
}

function Extension({ extension, context }: { extension: UiExtension; context: Record<string, unknown> }) {
  const { module, component } = extension;
  const name = useUi().modules.find(({ id }) => id === module)?.name ?? module;
  const t = useT();
  const [state, setState] = useState<State>('loading');
  return (
    <div data-slot-ext={`${module}/${component}`} data-slot-state={state}>
      <Boundary
        onError={() => setState('error')}
        onRetry={() => {
          ModuleRegistry.retryComponent(module, component);
          setState('loading');
        }}
        fallback={(error, retry) => <Failed error={error} module={name} retry={retry} />}
      >
        <Suspense fallback={<Loading label={t('slot.loading', { module: name })} />}>
          <Fill module={module} component={component} context={context} onState={setState} />
        </Suspense>
      </Boundary>
    </div>
  );
}

interface FillProps extends UiExtension {
  context: Record<string, unknown>;
  onState: (state: State) => void;
}

function Fill({ module, component, context, onState }: FillProps) {
  const t = useT();
  const [Component] = useState(() => ModuleRegistry.component(module, component));
  const known = Component !== null;
  useLayoutEffect(() => onState(known ? 'ready' : 'error'), [known, onState]);
  if (!Component) return <Notice tone="bad">{t('slot.unknown', { module, component })}</Notice>;
  return <Component {...context} />;
}

function Failed({ error, module, retry }: { error: Error; module: string; retry: () => void }) {
  const t = useT();
  return (
    <Notice tone="bad" action={<Button onClick={retry}>{t('common.retry')}</Button>}>
      <strong>{t(error instanceof ChunkError ? 'slot.chunk' : 'slot.failed', { module })}</strong>{' '}
      {t('slot.failedHint')}
    </Notice>
  );
}
