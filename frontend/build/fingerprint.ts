/**
 * Vite plugin: writes `fingerprint.json`, which says from which sources this build was made. The test kit compares it
 * with the sources as they are, so that no test runs on a stale build; `recyclic/testing/slots/build.py` computes the same.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import type { Plugin } from 'vite';

const FILES = [
  'index.html',
  'slots.html',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'vite.config.ts',
];
const FOLDERS = ['src', 'build', 'public'];

/** What the build reads, as paths with slashes: not the tests beside it. */
function sources(root: string): string[] {
  const nested = FOLDERS.filter((folder) => existsSync(join(root, folder))).flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.includes('.test.'))
      .map((entry) =>
        join(entry.parentPath, entry.name)
          .slice(root.length + 1)
          .split(sep)
          .join('/'),
      )
      .filter((path) => !path.startsWith('src/test/')),
  );
  return [...FILES.filter((file) => existsSync(join(root, file))), ...nested].sort();
}

const sha256 = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex');

export function fingerprint(): Plugin {
  let root = '';
  let made = '';
  return {
    name: 'recyclic-fingerprint',
    apply: 'build',
    configResolved(config) {
      root = config.root;
    },
    buildStart() {
      made = sha256(
        sources(root)
          .map((path) => `${path}\0${sha256(readFileSync(join(root, path)))}\n`)
          .join(''),
      );
    },
    generateBundle() {
      const source = `${JSON.stringify({ sha256: made })}\n`;
      this.emitFile({ type: 'asset', fileName: 'fingerprint.json', source });
    },
  };
}
