/** Vite plugin: writes `ui-map.json`, which says for every slot component its chunk, whether it is lazy, what it exports. */
import type { Plugin, Rolldown } from 'vite';

const COMPONENT = /\/src\/modules\/([^/]+)\/slots\/([^/.]+)\.tsx$/;

interface Entry {
  file: string;
  lazy: boolean;
  exports: string[];
}

/** Every chunk that a page loads at once: the entries and all that they import statically. */
function eager(chunks: Map<string, Rolldown.OutputChunk>): Set<string> {
  const seen = new Set<string>();
  const visit = (name: string): void => {
    if (seen.has(name)) return;
    seen.add(name);
    for (const next of chunks.get(name)?.imports ?? []) visit(next);
  };
  for (const chunk of chunks.values()) if (chunk.isEntry) visit(chunk.fileName);
  return seen;
}

export function uiMap(): Plugin {
  return {
    name: 'recyclic-ui-map',
    apply: 'build',
    generateBundle(_, bundle) {
      const chunks = new Map<string, Rolldown.OutputChunk>();
      for (const item of Object.values(bundle)) if (item.type === 'chunk') chunks.set(item.fileName, item);
      const shell = eager(chunks);
      const holders = new Map<string, Rolldown.OutputChunk[]>();
      for (const chunk of chunks.values()) {
        const ids = new Set([...chunk.moduleIds, ...(chunk.facadeModuleId ? [chunk.facadeModuleId] : [])]);
        for (const id of ids) {
          if (COMPONENT.test(id)) holders.set(id, [...(holders.get(id) ?? []), chunk]);
        }
      }
      const map: Record<string, Entry> = {};
      for (const [id, held] of [...holders].sort(([a], [b]) => a.localeCompare(b))) {
        const [, module = '', component = ''] = COMPONENT.exec(id) ?? [];
        const facade = held.find((chunk) => chunk.facadeModuleId === id) ?? held[0];
        if (!facade) continue;
        map[`${module}/${component}`] = {
          file: facade.fileName,
          lazy: facade.isDynamicEntry && held.every((chunk) => !shell.has(chunk.fileName)),
          exports: [...facade.exports].sort(),
        };
      }
      this.emitFile({ type: 'asset', fileName: 'ui-map.json', source: `${JSON.stringify(map, null, 2)}\n` });
    },
  };
}
