/** All files or none, whatever comes in between. */
import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeAll } from '../../src/execute/write-all.ts';
import { isGranaryError } from '../../src/model/errors.ts';
import { filesIn } from '../cli/granary.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';

let folder: TempFolder;
const root = () => folder.join('fleet');
const read = (name: string) => readFileSync(folder.join('fleet', name), 'utf8');

beforeEach(() => {
  folder = tempFolder('write-all');
  mkdirSync(root());
  writeFileSync(folder.join('fleet', 'seed.yaml'), 'old\n');
});
afterEach(() => folder.remove());

const change = { path: 'seed.yaml', before: 'old\n', after: 'new\n' };
const add = (path: string) => ({ path, before: null, after: `${path}\n` });

async function failure(files: Parameters<typeof writeAll>[1]): Promise<string> {
  const error: unknown = await writeAll(root(), files).catch((thrown: unknown) => thrown);
  return isGranaryError(error) ? `${error.code}: ${error.message}` : `no failure: ${String(error)}`;
}

test('new files and changed ones, in folders that are made; nothing hidden is left', async () => {
  await writeAll(folder.join('new', 'place'), [add('a/b/c.yaml')]);
  expect(filesIn(folder.join('new'))).toEqual(['place/a/b/c.yaml']);
  await writeAll(root(), [change, add('policies/p.yaml')]);
  expect(filesIn(root())).toEqual(['policies/p.yaml', 'seed.yaml']);
  expect(read('seed.yaml')).toBe('new\n');
});

test('mode and link of a changed file stay', async () => {
  chmodSync(folder.join('fleet', 'seed.yaml'), 0o640);
  symlinkSync('seed.yaml', folder.join('fleet', 'link.yaml'));
  await writeAll(root(), [{ ...change, path: 'link.yaml' }]);
  expect(statSync(folder.join('fleet', 'seed.yaml')).mode & 0o777).toBe(0o640);
  expect(read('seed.yaml')).toBe('new\n');
});

test.each([
  ['a new file is there', [change, add('a.yaml')], 'a.yaml', 'target-exists'],
  ['it is there as a link that leads nowhere', [change, add('l.yaml')], 'l.yaml', 'target-exists'],
  ['a folder is a file', [change, add('a.yaml/b.yaml')], 'a.yaml', 'target-unwritable'],
  [
    'a changed file has changed meanwhile',
    [add('z.yaml'), { ...change, before: 'other\n' }],
    'seed.yaml',
    'target-exists',
  ],
  [
    'a changed file is gone',
    [add('z.yaml'), { ...change, path: 'gone.yaml' }],
    'gone.yaml',
    'target-unwritable',
  ],
  ['a folder is a link to outside', [change, add('out/b.yaml')], 'out', 'target-unwritable'],
  ['the same file twice', [change, add('new/x.yaml'), add('new/x.yaml')], 'new/x.yaml', 'target-exists'],
])('nothing is written where %s', async (_, files, name, code) => {
  mkdirSync(folder.join('outside'));
  symlinkSync('/nonexistent', folder.join('fleet', 'l.yaml'));
  symlinkSync(folder.join('outside'), folder.join('fleet', 'out'));
  writeFileSync(folder.join('fleet', 'a.yaml'), 'theirs\n');
  const before = filesIn(folder.path);
  const said = await failure(files);
  expect(said).toContain(`${code}: `);
  expect(said).toContain(name);
  expect(filesIn(folder.path)).toEqual(before);
  expect(read('a.yaml')).toBe('theirs\n');
  expect(read('seed.yaml')).toBe('old\n');
});
