import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const BIOME = join(import.meta.dirname, '..', 'node_modules', '.bin', 'biome');

const FORBIDDEN = [
  ['src/core/a', '../modules/caisse/api'],
  ['src/core/b', '@/app/App'],
  ['src/core/ui/c', '../../modules/caisse/api'],
  ['src/modules/caisse/d', '../paheko/api'],
  ['src/modules/caisse/e', '@/modules/paheko/api'],
  ['src/modules/caisse/f', '@/app/App'],
  ['src/modules/caisse/till/g', '../../paheko/api'],
  ['src/modules/paheko/slots/h', '../../../app/App'],
] as const;

const ALLOWED = [
  ['src/core/ui/i', '../i18n'],
  ['src/modules/caisse/j', './api'],
  ['src/modules/caisse/till/k', '../api'],
  ['src/modules/caisse/till/l', '@/core/money'],
  ['src/app/m', '@/modules/caisse/api'],
] as const;

describe('import zones', () => {
  let folder = '';
  let said: string[] = [];

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'zones-'));
    copyFileSync(join(import.meta.dirname, '..', 'biome.json'), join(folder, 'biome.json'));
    for (const [path, from] of [...FORBIDDEN, ...ALLOWED]) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, `${path}.ts`), `import { x } from '${from}';\nexport const y = x;\n`);
    }
    const { stdout } = spawnSync(BIOME, ['lint', '--reporter=github', '.'], {
      cwd: folder,
      encoding: 'utf8',
    });
    said = stdout.split('\n').filter((line) => line.includes('noRestrictedImports'));
  }, 30_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  const refused = (path: string): boolean => said.some((line) => line.includes(`${path}.ts`));

  it.each(FORBIDDEN)('%s must not import %s', (path) => expect(refused(path)).toBe(true));
  it.each(ALLOWED)('%s may import %s', (path) => expect(refused(path)).toBe(false));
});
