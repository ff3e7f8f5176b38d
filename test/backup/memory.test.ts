import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { tempFolder } from '../servers/temp.ts';

/** What design section 13 allows a whole backup. What runs here takes about half of that, Node itself included. */
const allowedBytes = 256 * 2 ** 20;

test('300 MB go through spool, zstd, age and three uploads in bounded memory', async () => {
  using folder = tempFolder('memory');
  const script = fileURLToPath(new URL('memory-run.ts', import.meta.url));
  // A process of its own: its peak is that of this work alone.
  const { stdout } = await promisify(execFile)(process.execPath, [script, folder.path]);
  const { received, stored, uploaded, peakBytes } = JSON.parse(stdout) as {
    received: number;
    stored: number;
    uploaded: number[];
    peakBytes: number;
  };
  expect(received).toBeGreaterThan(300_000_000);
  expect(stored).toBeGreaterThan(received / 2);
  expect(uploaded).toEqual([stored, stored, stored]);
  expect(peakBytes).toBeLessThan(allowedBytes);
});
