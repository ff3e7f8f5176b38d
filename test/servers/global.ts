/** Runs once before and once after the whole suite (`globalSetup` of vitest). */
import { testTools } from './catalogue.ts';
import { cleanUp } from './registry.ts';
import { missing } from './tools.ts';

/** Ends servers that a killed run left behind, and says which suites will be skipped; with CI=true that is an error. */
export function setup(): void {
  const ended = cleanUp();
  if (ended > 0)
    console.log(`ended ${ended} server${ended === 1 ? '' : 's'} that an earlier run left behind`);
  const absent = missing(testTools);
  if (absent.length === 0) return;
  const message = `not installed: ${absent.join(', ')} (\`node test/servers/install.ts\` installs them)`;
  if (process.env.CI === 'true') throw new Error(message);
  console.log(`${message}; tests that need them are skipped by name`);
}

/** A worker that was killed could not stop its servers. */
export function teardown(): void {
  cleanUp();
}
