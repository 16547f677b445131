import { type RenderResult, render } from '@testing-library/react';
import type { ReactNode } from 'react';
import { Router } from 'wouter';
import { memoryLocation } from 'wouter/memory-location';
import { createQueryClient, Providers } from '@/core/Providers';
import { type UiManifest, UiProvider } from '@/core/session';

export const UI: UiManifest = {
  host_version: '0.1.0',
  test_mode: true,
  user: { name: 'Alma', permissions: { caisse: 'write', accounting: 'write', users: 'write' } },
  modules: ['caisse', 'members', 'barcodes', 'paheko'].map((id) => ({
    id,
    name: id === 'paheko' ? 'Paheko Sync' : id,
    description: '',
    version: '0.1.0',
    routes: [`/modules/${id}`],
  })),
  slots: {},
};

interface Options {
  at?: string;
  ui?: Partial<UiManifest>;
}

/** Draw a part of the app as it stands in the app; `path()` says where it has led. */
export function draw(
  what: ReactNode,
  { at = '/', ui = {} }: Options = {},
): RenderResult & { path: () => string } {
  const location = memoryLocation({ path: at, record: true });
  const result = render(
    <Providers client={createQueryClient()}>
      <Router hook={location.hook} searchHook={location.searchHook}>
        <UiProvider ui={{ ...UI, ...ui }}>{what}</UiProvider>
      </Router>
    </Providers>,
  );
  return { ...result, path: () => location.history.at(-1) ?? '' };
}
