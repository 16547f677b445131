/**
 * Every module of this build, known by its path: pages in `modules/<id>/index.tsx`, slot components in
 * `modules/<id>/slots/<Component>.tsx`, navigation in `modules/<id>/nav.tsx`. Pages and slot components are chunks of
 * their own; a chunk that failed to load can be asked for again.
 */
import { type ComponentType, lazy, type ReactNode } from 'react';
import type { UiModule } from './session';

type Loader = () => Promise<{ default: ComponentType<Record<string, unknown>> }>;
type Loaded = ComponentType<Record<string, unknown>>;

/** One entry of the navigation. `icon` is drawn in a 24 × 24 box with `currentColor`. */
export interface NavEntry {
  to: string;
  label: { fr: string; en: string };
  hint: { fr: string; en: string };
  icon: ReactNode;
  /** Other paths that belong to this entry, so that it shows as the current one there too. */
  also?: string[];
}

const pages = import.meta.glob('../modules/*/index.tsx') as Record<string, Loader>;
const components = import.meta.glob(['../modules/*/slots/*.tsx', '!../modules/*/slots/*.test.tsx']) as Record<
  string,
  Loader
>;
const navigation = import.meta.glob('../modules/*/nav.tsx', { eager: true, import: 'default' }) as Record<
  string,
  NavEntry[]
>;

/** A chunk did not arrive, or did not hold what it should. */
export class ChunkError extends Error {
  override readonly name = 'ChunkError';
}

const PATIENCE = 20_000;

/** A chunk that hangs is given up, so that the page can offer to try again. */
async function inTime<T>(promise: Promise<T>, key: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new ChunkError(`${key} did not arrive`)), PATIENCE);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A set of lazily loaded components, by key. What is loaded already is drawn without a pause. */
export class Chunks {
  private readonly lazies = new Map<string, Loaded>();
  private readonly ready = new Map<string, Loaded>();

  constructor(private readonly loaders: Record<string, Loader>) {}

  has(key: string): boolean {
    return key in this.loaders;
  }

  component(key: string): Loaded | null {
    if (!this.has(key)) return null;
    const ready = this.ready.get(key);
    if (ready) return ready;
    const made = this.lazies.get(key) ?? lazy(async () => ({ default: await this.load(key) }));
    this.lazies.set(key, made);
    return made;
  }

  async load(key: string): Promise<Loaded> {
    const loader = this.loaders[key];
    if (!loader) throw new ChunkError(`no chunk for ${key}`);
    let loaded: Awaited<ReturnType<Loader>>;
    try {
      loaded = await inTime(loader(), key);
    } catch (error) {
      throw new ChunkError(`${key} could not be loaded: ${String(error)}`, { cause: error });
    }
    if (typeof loaded.default !== 'function') throw new ChunkError(`${key} has no default export`);
    this.ready.set(key, loaded.default);
    return loaded.default;
  }

  forget(key: string): void {
    this.lazies.delete(key);
    this.ready.delete(key);
  }
}

const pageChunks = new Chunks(pages);
const slotChunks = new Chunks(components);
const pageKey = (module: string): string => `../modules/${module}/index.tsx`;
const slotKey = (module: string, component: string): string => `../modules/${module}/slots/${component}.tsx`;

export const ModuleRegistry = {
  /** The pages of a module; null when this build has none for it. */
  pages: (module: string): Loaded | null => pageChunks.component(pageKey(module)),
  /** A slot component; null when this build does not know it. */
  component: (module: string, component: string): Loaded | null =>
    slotChunks.component(slotKey(module, component)),
  /** Load a slot component ahead of drawing it. */
  preload: (module: string, component: string): Promise<Loaded> =>
    slotChunks.load(slotKey(module, component)),
  retryPages: (module: string): void => pageChunks.forget(pageKey(module)),
  retryComponent: (module: string, component: string): void => slotChunks.forget(slotKey(module, component)),
  /** Navigation entries of these modules, in the host's order. A module with pages but no `nav.tsx` gets its name. */
  navigation(modules: readonly UiModule[]): NavEntry[] {
    return modules.flatMap((module) => {
      const entries = navigation[`../modules/${module.id}/nav.tsx`];
      if (entries) return entries;
      const [to] = module.routes;
      if (!to || !pageChunks.has(pageKey(module.id))) return [];
      const label = { fr: module.name, en: module.name };
      return [{ to, label, hint: { fr: module.description, en: module.description }, icon: null }];
    });
  },
};
