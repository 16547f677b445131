import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';
import { fingerprint } from './build/fingerprint.ts';
import { uiMap } from './build/ui-map.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Chunks carry the name of the module or slot component they hold, so that a network log reads itself. */
function chunkName({ facadeModuleId }: { facadeModuleId?: string | null }): string {
  const slot = /\/src\/modules\/([^/]+)\/slots\/([^/.]+)\.tsx$/.exec(facadeModuleId ?? '');
  if (slot) return `assets/slot-${slot[1]}-${slot[2]}-[hash].js`;
  const module = /\/src\/modules\/([^/]+)\/index\.tsx$/.exec(facadeModuleId ?? '');
  if (module) return `assets/module-${module[1]}-[hash].js`;
  return 'assets/[name]-[hash].js';
}

export default defineConfig({
  plugins: [react(), uiMap(), fingerprint()],
  resolve: { alias: { '@': here('./src') } },
  server: { proxy: { '/api': process.env.RECYCLIC_URL ?? 'http://127.0.0.1:8000' } },
  build: {
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rolldownOptions: {
      input: { index: here('./index.html'), slots: here('./slots.html') },
      output: {
        chunkFileNames: chunkName,
        // Libraries that every page needs change less often than our own code: browsers keep them over updates.
        codeSplitting: {
          groups: [
            {
              name: 'vendor',
              test: /node_modules\/(?:react|react-dom|scheduler|@tanstack|i18next|wouter|regexparam|use-sync-external-store)\//,
            },
          ],
        },
      },
    },
  },
  test: {
    environment: 'happy-dom',
    setupFiles: ['./src/test/setup.ts'],
    restoreMocks: true,
    css: { modules: { classNameStrategy: 'non-scoped' } },
  },
});
