import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RememberedCredentials } from '../../src/secrets/remembered.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';

let folder: TempFolder;
let remembered: RememberedCredentials;
beforeEach(() => {
  folder = tempFolder('remembered');
  remembered = new RememberedCredentials(folder.join('state'));
});
afterEach(() => folder.remove());

const file = 'credentials/eu.sops.yaml';
const day = (number: number) => `2026-11-${String(number).padStart(2, '0')}T10:00:00Z`;

test('what goes back is refused; the same and what is newer are not', async () => {
  await remembered.accept('key', file, day(10));
  await remembered.accept('key', file, day(10));
  await remembered.accept('key', file, day(12));
  const error = await remembered.accept('key', file, day(11)).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    code: 'sops-replayed',
    context: { file, credential: 'key', lastModified: day(11), accepted: day(12) },
  });
  expect((error as { hint: string }).hint).toContain(remembered.path);
  await expect(remembered.check('key', file, day(11))).rejects.toMatchObject({ code: 'sops-replayed' });
  await remembered.check('key', file, day(12));
  await remembered.accept('other', file, day(1));
  // Somebody else with the same folder: a later run, another command.
  const later = new RememberedCredentials(folder.join('state'));
  await expect(later.check('key', 'elsewhere.sops.yaml', day(11))).rejects.toMatchObject({
    code: 'sops-replayed',
  });
});

test('to check is not to remember', async () => {
  await remembered.check('key', file, day(10));
  expect(existsSync(remembered.path)).toBe(false);
});

test('many at once lose nothing, and nothing half-written is left', async () => {
  const names = Array.from({ length: 20 }, (_, index) => `key-${index}`);
  await Promise.all(names.map((name) => remembered.accept(name, file, day(10))));
  const { format, lastModified } = JSON.parse(readFileSync(remembered.path, 'utf8')) as {
    format: number;
    lastModified: Record<string, string>;
  };
  expect(format).toBe(1);
  expect(Object.keys(lastModified).toSorted()).toEqual(names.toSorted());
  expect(readdirSync(folder.join('state'))).toEqual(['credentials.json']);
  expect(statSync(remembered.path).mode & 0o777).toBe(0o600);
});

test('a failure does not keep the next one from being remembered', async () => {
  await remembered.accept('key', file, day(10));
  await Promise.allSettled([remembered.accept('key', file, day(9)), remembered.accept('two', file, day(9))]);
  await expect(remembered.check('two', file, day(8))).rejects.toMatchObject({ code: 'sops-replayed' });
});

test.each([
  '',
  '{',
  '[]',
  'null',
  '{"format":2,"lastModified":{}}',
  '{"format":1}',
  '{"format":1,"lastModified":{"key":"soon"}}',
  '{"format":1,"lastModified":{"key":7}}',
])('a memory that is damaged is not taken for none: %s', async (text) => {
  await remembered.accept('key', file, day(10));
  writeFileSync(remembered.path, text);
  await expect(remembered.accept('key', file, day(11))).rejects.toMatchObject({ code: 'state-invalid' });
  expect(readFileSync(remembered.path, 'utf8')).toBe(text);
});

test('a folder that cannot be used is told', async () => {
  writeFileSync(folder.join('file'), '');
  const odd = new RememberedCredentials(folder.join('file'));
  await expect(odd.accept('key', file, day(1))).rejects.toMatchObject({ code: 'file-unreadable' });
  if (process.getuid?.() === 0) return;
  chmodSync(folder.path, 0o500);
  await expect(remembered.accept('key', file, day(1))).rejects.toMatchObject({ code: 'file-unreadable' });
  chmodSync(folder.path, 0o700);
});

test('names that JavaScript treats apart are names like others', async () => {
  await remembered.accept('constructor', file, day(10));
  await expect(remembered.check('constructor', file, day(9))).rejects.toMatchObject({
    code: 'sops-replayed',
  });
  await remembered.check('toString', file, day(1));
});
