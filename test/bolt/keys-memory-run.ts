/**
 * Lists every key of a database in a process of its own, compares it with itself at an earlier revision, and prints
 * the most memory that took. For `keys-memory.test.ts`, which passes the file and that revision.
 */
import { open } from 'node:fs/promises';
import { diffKeys } from '../../src/bolt/diff-keys.ts';
import { KeyReader } from '../../src/bolt/key-reader.ts';

const [file = '', revision = ''] = process.argv.slice(2);
const { signal } = new AbortController();
await using handle = await open(file);
const { size } = await handle.stat();

let keys = 0;
let ordered = true;
{
  await using reader = new KeyReader(handle.fd, size, { values: false }, { signal });
  let before: Uint8Array = Buffer.of();
  for await (const { key } of reader.records()) {
    keys += 1;
    ordered &&= Buffer.compare(before, key) < 0;
    before = key;
  }
}
const counts = { added: 0, changed: 0, removed: 0, unchanged: 0 };
{
  const earlier = { values: true, revision: Number(revision) };
  await using one = new KeyReader(handle.fd, size, earlier, { signal });
  await using other = new KeyReader(handle.fd, size, { values: true }, { signal });
  for await (const { change } of diffKeys(one.records(), other.records())) counts[change] += 1;
}
const peakBytes = process.resourceUsage().maxRSS * 1_024;
process.stdout.write(JSON.stringify({ keys, ordered, counts, peakBytes }));
