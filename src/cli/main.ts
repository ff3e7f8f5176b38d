#!/usr/bin/env node
/**
 * The entry. Compiling the program and its libraries takes half a second of each start, so that Node keeps what it has
 * compiled: it must be told before the first of them is loaded.
 */
import { existsSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { join } from 'node:path';

/** A folder of the user's own: whoever can write there decides what runs. `NODE_COMPILE_CACHE` names another one. */
function keepCompiled(): void {
  const { NODE_COMPILE_CACHE, XDG_CACHE_HOME, HOME } = process.env;
  // Without a home there is nothing to keep it in, and the start only takes longer. None is made where there is none.
  const cache = XDG_CACHE_HOME || (HOME && existsSync(HOME) && join(HOME, '.cache'));
  // Node holds what it has read of it for as long as it runs, and an agent runs for ever: that is 3 MiB.
  if (process.argv[2] === 'agent') return;
  if (NODE_COMPILE_CACHE) nodeModule.enableCompileCache();
  else if (cache) nodeModule.enableCompileCache(join(cache, 'granary', 'compiled'));
}

/**
 * As `engines` of package.json says, which npm only warns of. This file alone is read by an older Node: what it imports
 * by name, and how it is written, must be known to Node 18.
 */
const oldestNode = 24;

if (Number.parseInt(process.versions.node, 10) < oldestNode) {
  process.stderr.write(
    `error: granary needs Node ${oldestNode} or newer, and this is ${process.version}\nhint: \`npm install --global node@${oldestNode}\` brings it, or the package manager of this machine\n`,
  );
  process.exitCode = 1;
} else {
  keepCompiled();
  const { run } = await import('./program.ts');
  await run(process.argv.slice(2));
}
