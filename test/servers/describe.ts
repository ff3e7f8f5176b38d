/** `describe` for suites that need a real server: skipped by name where it cannot be had, a failure in CI. */
import { describe, test } from 'vitest';
import type { ToolName } from './catalogue.ts';
import { missing } from './tools.ts';

/**
 * A suite that runs only where all of `names` are installed. Elsewhere it is skipped and its name says what is
 * missing; with CI=true it fails instead, so that a machine without servers cannot pass by skipping.
 */
export function describeWith(names: readonly ToolName[], title: string, body: () => void): void {
  const absent = missing(names);
  if (absent.length === 0) {
    describe(title, body);
  } else if (process.env.CI === 'true') {
    describe(title, () => {
      test(`needs ${absent.join(', ')}`, () => {
        throw new Error(`not installed: ${absent.join(', ')}; run \`node test/servers/install.ts\``);
      });
    });
  } else {
    describe.skip(`${title} (skipped: ${absent.join(', ')} not installed)`, body);
  }
}
