#!/usr/bin/env node
/**
 * The entry. Compiling the program and its libraries takes half a second of each start, so that Node keeps what it has
 * compiled: it must be told before the first of them is loaded.
 */
import { existsSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

/** A folder of the user's own: whoever can write there decides what runs. `NODE_COMPILE_CACHE` names another one. */
function keepCompiled(): void {
  const { NODE_COMPILE_CACHE, XDG_CACHE_HOME, HOME } = process.env;
  // Without a home there is nothing to keep it in, and the start only takes longer. None is made where there is none.
  const cache = XDG_CACHE_HOME || (HOME && existsSync(HOME) && join(HOME, '.cache'));
  if (NODE_COMPILE_CACHE) enableCompileCache();
  else if (cache) enableCompileCache(join(cache, 'granary', 'compiled'));
}

keepCompiled();
const { run } = await import('./program.ts');
await run(process.argv.slice(2));
