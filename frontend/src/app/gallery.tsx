/**
 * The slot gallery: one slot with the app's own providers between two sentinels, for tests in a browser.
 * `await window.mount({ slot, context, locale })` draws it and resolves when it has settled; `window.unmount()` takes
 * it away. The host serves this page in test mode only.
 */
import '@/core/styles/tokens.css';
import '@/core/styles/base.css';
import { StrictMode } from 'react';
import { createRoot, type Root } from 'react-dom/client';
import { Router } from 'wouter';
import { memoryLocation } from 'wouter/memory-location';
import { requestsInFlight } from '@/core/api';
import { type Locale, missingKeys, setLocale } from '@/core/i18n';
import { ModuleRegistry } from '@/core/ModuleRegistry';
import { ModuleSlot } from '@/core/ModuleSlot';
import { createQueryClient, Providers } from '@/core/Providers';
import { type UiManifest, UiProvider, uiQuery } from '@/core/session';
import type { SlotName } from '@/core/slots.gen';
import { applyTheme } from '@/core/theme';

interface Story {
  slot: string;
  context?: Record<string, unknown>;
  locale?: Locale;
  /** Load the components ahead (default), or let them load lazily as in the app. */
  preload?: boolean;
}

interface Settled {
  extensions: { id: string; state: string }[];
}

declare global {
  interface Window {
    mount: (story: Story) => Promise<Settled>;
    unmount: () => Promise<void>;
    missingKeys: () => string[];
  }
}

let root: Root | null = null;

window.missingKeys = missingKeys;

window.mount = async ({ slot, context = {}, locale = 'fr', preload = true }) => {
  await window.unmount();
  applyTheme();
  setLocale(locale, false);
  const client = createQueryClient();
  const ui = await client.fetchQuery(uiQuery);
  if (preload) await preloadSlot(ui, slot);
  const holder = document.getElementById('root');
  if (!holder) throw new Error('slots.html has no #root');
  root = createRoot(holder);
  root.render(
    <StrictMode>
      <Providers client={client}>
        <Router hook={memoryLocation({ path: '/' }).hook}>
          <UiProvider ui={ui}>
            <button type="button" data-sentinel="before">
              before
            </button>
            <main>
              <ModuleSlot name={slot as SlotName} context={context as never} />
            </main>
            <button type="button" data-sentinel="after">
              after
            </button>
          </UiProvider>
        </Router>
      </Providers>
    </StrictMode>,
  );
  await settled(() => client.isFetching() + client.isMutating());
  return { extensions: extensions() };
};

window.unmount = async () => {
  if (!root) return;
  root.unmount();
  root = null;
  await frame();
};

/** A component that cannot be loaded is the slot's to show, not a reason to stop here. */
async function preloadSlot(ui: UiManifest, slot: string): Promise<void> {
  const wanted = ui.slots[slot] ?? [];
  await Promise.allSettled(wanted.map(({ module, component }) => ModuleRegistry.preload(module, component)));
}

function extensions(): Settled['extensions'] {
  return [...document.querySelectorAll<HTMLElement>('[data-slot-ext]')].map(({ dataset }) => ({
    id: dataset.slotExt ?? '',
    state: dataset.slotState ?? '',
  }));
}

function frame(): Promise<void> {
  return new Promise((resolve) => requestAnimationFrame(() => resolve()));
}

/** Both sentinels stand, nothing is loading and nothing is being fetched, in two frames one after the other. */
async function settled(busy: () => number): Promise<void> {
  let calm = 0;
  while (calm < 2) {
    await frame();
    const drawn = document.querySelectorAll('[data-sentinel]').length === 2;
    const loading = document.querySelector('[data-slot-state="loading"], [data-loading]') !== null;
    calm = drawn && !loading && busy() === 0 && requestsInFlight() === 0 ? calm + 1 : 0;
  }
}
