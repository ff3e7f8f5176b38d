/**
 * `npm run build`: writes `dist/`, which the package and the image run; `node build/main.ts FOLDER` writes it elsewhere,
 * directly below the root. Beside the program lie what `granary --version`
 * says of it, the licences of what is built in, and the bill of materials.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { billOfMaterials } from './bill.ts';
import { bundle } from './bundle.ts';
import { commit } from './commit.ts';
import { noticesText } from './notices.ts';
import { packagesOf } from './packages.ts';

const [folder = 'dist'] = process.argv.slice(2);
const root = fileURLToPath(new URL('..', import.meta.url));
const readJson = (name: string) => JSON.parse(readFileSync(join(root, name), 'utf8'));

const { chunks, modules } = await bundle();
const packages = packagesOf(modules);
const files = [
  ...chunks.map(({ fileName, code }) => ({ name: fileName, text: code })),
  { name: 'commit.json', text: `${JSON.stringify({ commit: commit() })}\n` },
  { name: 'THIRD-PARTY-LICENSES.txt', text: noticesText(packages) },
  {
    name: 'granary.cdx.json',
    text: `${JSON.stringify(billOfMaterials(packages, readJson('package.json'), readJson('package-lock.json')), null, 1)}\n`,
  },
];

rmSync(join(root, folder), { recursive: true, force: true });
for (const { name, text } of files) {
  const path = join(root, folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, name === 'cli/main.js' ? { mode: 0o755 } : {});
}
