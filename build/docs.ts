/**
 * Writes what is made from the program and the schemas: `docs/reference/commands.md`, `docs/reference/configuration.md`
 * and `man/granary.1`. With `--check` nothing is written: it compares, says what differs and exits with 1.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { commandsPage } from './commands-page.ts';
import { configurationPage } from './configuration-page.ts';
import { manPage } from './man-page.ts';

const root = new URL('../', import.meta.url);

/** Content by path in the repository. */
export function generatedPages(): ReadonlyMap<string, string> {
  return new Map([
    ['docs/reference/commands.md', commandsPage()],
    ['docs/reference/configuration.md', configurationPage()],
    ['man/granary.1', manPage()],
  ]);
}

/** The pages that are not as they would be written. */
export async function stalePages(): Promise<string[]> {
  const stale: string[] = [];
  for (const [path, text] of generatedPages()) {
    const there = await readFile(new URL(path, root), 'utf8').catch(() => null);
    if (there !== text) stale.push(path);
  }
  return stale;
}

async function main(check: boolean): Promise<void> {
  if (check) {
    const stale = await stalePages();
    if (stale.length === 0) return;
    console.error(`error: not what the program and the schemas say: ${stale.join(', ')}`);
    console.error('hint: run `npm run docs` and commit the result');
    process.exitCode = 1;
    return;
  }
  for (const [path, text] of generatedPages()) {
    const file = new URL(path, root);
    await mkdir(dirname(fileURLToPath(file)), { recursive: true });
    await writeFile(file, text);
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(process.argv.includes('--check'));
}
