import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { tempFolder } from '../servers/temp.ts';
import { writeLargeDatabase } from './large-database.ts';

/** What design section 13 allows. All these keys in a map would take more than that. */
const allowedBytes = 256 * 2 ** 20;
const keys = 600_000;

test('hundreds of thousands of keys are listed and compared in bounded memory', async () => {
  using folder = tempFolder('keys-memory');
  const file = folder.join('large.db');
  // Written in an order that has nothing to do with that of the names, as in a cluster that is some years old.
  writeLargeDatabase(file, keys, (index) => `/registry/pods/shop/${(index * 1_000_003) % keys}`);
  expect(statSync(file).size).toBeGreaterThan(40_000_000);
  const script = fileURLToPath(new URL('keys-memory-run.ts', import.meta.url));
  const earlier = 400_001;
  // A process of its own: its peak is that of this work alone.
  const { stdout } = await promisify(execFile)(process.execPath, [script, file, String(earlier)]);
  const found = JSON.parse(stdout) as { peakBytes: number };
  expect(found).toMatchObject({
    ...{ keys, ordered: true },
    counts: { added: keys - earlier + 1, changed: 0, removed: 0, unchanged: earlier - 1 },
  });
  expect(found.peakBytes).toBeLessThan(allowedBytes);
}, 300_000);
