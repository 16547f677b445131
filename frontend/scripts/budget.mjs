/** Weigh the build: what a person loads before any module (the shell), and every module's own part, gzipped. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const SHELL_LIMIT = 120_000;
const dist = new URL('../dist/', import.meta.url);

function text(file) {
  try {
    return readFileSync(new URL(file, dist), 'utf8');
  } catch {
    console.error(`${fileURLToPath(new URL(file, dist))} is missing: run npm run build`);
    process.exit(2);
  }
}

const weight = (file) => gzipSync(text(file), { level: 9 }).length;

/** The files that `index.html` names: its scripts, their preloads, its styles. Vite lists every static import there. */
const shell = [...text('index.html').matchAll(/(?:src|href)="\/([^"]+\.(?:js|css))"/g)].map(
  ([, file]) => file,
);
const known = new Set(shell);

/** What `file` imports statically, itself included, without the shell. */
function closure(file, seen = new Set()) {
  if (known.has(file) || seen.has(file)) return seen;
  seen.add(file);
  for (const [, next] of text(file).matchAll(/(?:from|import)\s*["']\.\/([^"']+\.js)["']/g))
    closure(`assets/${next}`, seen);
  return seen;
}

const lazy = [
  ...new Set(
    [...text('index.html'), ...shell.map(text)].join('').match(/assets\/(?:module|slot)-[\w-]+\.js/g),
  ),
];
const total = shell.reduce((sum, file) => sum + weight(file), 0);
const kB = (bytes) => `${(bytes / 1000).toFixed(1).padStart(7)} kB`;
console.log(`${kB(total)}  shell (limit ${SHELL_LIMIT / 1000} kB)`);
for (const file of shell) console.log(`${kB(weight(file))}    ${file}`);
for (const file of lazy.sort()) {
  console.log(
    `${kB([...closure(file)].reduce((sum, one) => sum + weight(one), 0))}  ${file} and what only it brings`,
  );
}
if (total > SHELL_LIMIT) {
  console.error(`the shell is ${total - SHELL_LIMIT} bytes over its budget`);
  process.exit(1);
}
