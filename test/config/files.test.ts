import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { loadConfiguration } from '../../src/config/index.ts';
import { tempFolder } from '../servers/temp.ts';
import { disk, found, load } from './support.ts';

test('reads *.yaml and *.yml below the root, hidden files and folders aside, in order of their paths', async () => {
  const configuration = await load({
    'b.yml': disk('b'),
    'a/z.yaml': disk('z'),
    'a.yaml': disk('a'),
    'a.txt': '@',
    'README.md': '@',
    '.hidden.yaml': '@',
    '.github/workflows/ci.yaml': '@',
    'a/.sops.yaml': '@',
  });
  expect(configuration.diagnostics).toEqual([]);
  expect(configuration.files).toBe(3);
  expect(configuration.destinations.map(({ position }) => position.file)).toEqual([
    'a.yaml',
    'a/z.yaml',
    'b.yml',
  ]);
});

test('a folder that is missing, and a file in its place, are errors with a hint', async () => {
  using folder = tempFolder('config');
  await writeFile(folder.join('file'), '');
  for (const path of [folder.join('nothing'), folder.join('file')]) {
    await expect(loadConfiguration(path)).rejects.toMatchObject({
      code: 'config-not-found',
      hint: expect.stringContaining('--path'),
    });
  }
});

test('an empty folder is said to be one', async () => {
  expect(found(await load({ 'README.md': '' }))).toEqual(['nothing-found .:1:1']);
  expect(found(await load({ 'empty.yaml': '', 'comment.yaml': '# nothing\n---\n# here\n' }))).toEqual([]);
});

test('links within the root are followed and nothing is read twice; circles end', async () => {
  using folder = tempFolder('config');
  await mkdir(folder.join('real'));
  await mkdir(folder.join('..data'));
  await writeFile(folder.join('real', 'disk.yaml'), disk('disk'));
  await writeFile(folder.join('..data', 'mounted.yaml'), disk('mounted'));
  await symlink('real', folder.join('again'));
  await symlink('..', folder.join('real', 'up'));
  await symlink('loop', folder.join('loop'));
  // As Kubernetes mounts a ConfigMap: the files are links into a hidden folder.
  await symlink('..data/mounted.yaml', folder.join('mounted.yaml'));
  const configuration = await loadConfiguration(folder.path);
  expect(found(configuration)).toEqual([]);
  expect(configuration.destinations.map(({ position }) => position.file)).toEqual([
    'mounted.yaml',
    'real/disk.yaml',
  ]);
});

test('links out of the root are not followed', async () => {
  using outside = tempFolder('outside');
  await writeFile(outside.join('disk.yaml'), disk('disk'));
  await writeFile(outside.join('notes.txt'), '');
  using folder = tempFolder('config');
  await symlink(outside.join('disk.yaml'), folder.join('file.yaml'));
  await symlink(outside.path, folder.join('folder'));
  await symlink(outside.join('notes.txt'), folder.join('notes.txt'));
  await symlink('gone.yaml', folder.join('broken.yaml'));
  const configuration = await loadConfiguration(folder.path);
  expect(configuration.destinations).toEqual([]);
  expect(configuration.diagnostics.map(({ severity, code, file }) => `${severity} ${code} ${file}`)).toEqual([
    'error file-unreadable broken.yaml',
    'error symlink-outside file.yaml',
    'warning nothing-found .',
    'warning symlink-outside folder',
  ]);
});

test('a root that is itself a link is the folder behind it', async () => {
  using folder = tempFolder('config');
  await mkdir(folder.join('v1'));
  await writeFile(folder.join('v1', 'disk.yaml'), disk('disk'));
  await symlink('v1', folder.join('current'));
  expect((await loadConfiguration(folder.join('current'))).destinations).toHaveLength(1);
});

test('files that are too large or no UTF-8 are faults of their own, and the others are read', async () => {
  using folder = tempFolder('config');
  await writeFile(folder.join('large.yaml'), `${disk('large')}#${'x'.repeat(2 ** 20)}`);
  await writeFile(folder.join('latin1.yaml'), Buffer.from(`${disk('latin')}# caf\xe9\n`, 'latin1'));
  await writeFile(folder.join('fine.yaml'), `\ufeff${disk('fine')}`);
  const configuration = await loadConfiguration(folder.path);
  expect(found(configuration)).toEqual(['file-not-utf8 latin1.yaml:1:1', 'file-too-large large.yaml:1:1']);
  expect(configuration.destinations.map(({ name }) => name)).toEqual(['fine']);
  expect(configuration.files).toBe(3);
});

test.skipIf(process.getuid?.() === 0)(
  'a file without permission is a fault (not as root, who may read all)',
  async () => {
    using folder = tempFolder('config');
    await writeFile(folder.join('a.yaml'), disk('a'));
    await chmod(folder.join('a.yaml'), 0);
    expect(found(await loadConfiguration(folder.path))).toEqual(['file-unreadable a.yaml:1:1']);
  },
);

test('.granaryignore leaves out what it names, in gitignore’s syntax, and so does one further down', async () => {
  const configuration = await load({
    '.granaryignore': '# charts are no configuration\ncharts/\n*.values.yaml\n/top.yaml\n!keep.values.yaml\n',
    'a.yaml': disk('a'),
    'top.yaml': '@',
    'charts/x.yaml': '@',
    'deep/charts/x.yaml': '@',
    'deep/b.values.yaml': '@',
    'deep/keep.values.yaml': disk('keep'),
    'deep/top.yaml': disk('top'),
    'own/.granaryignore': 'draft*\n',
    'own/draft.yaml': '@',
    'own/drafts/x.yaml': '@',
    'draft.yaml': disk('draft'),
  });
  expect(found(configuration)).toEqual([]);
  expect(configuration.destinations.map(({ position }) => position.file)).toEqual([
    'a.yaml',
    'deep/keep.values.yaml',
    'deep/top.yaml',
    'draft.yaml',
  ]);
});

test('a .granaryignore that cannot be read is a fault, and leaves nothing out', async () => {
  using folder = tempFolder('config');
  await writeFile(folder.join('.granaryignore'), Buffer.from([0x61, 0xff]));
  await writeFile(folder.join('a.yaml'), disk('a'));
  const configuration = await loadConfiguration(folder.path);
  expect(found(configuration)).toEqual(['file-not-utf8 .granaryignore:1:1']);
  expect(configuration.files).toBe(1);
});

test('an ignored link is not followed, also one that leads out', async () => {
  using folder = tempFolder('config');
  await writeFile(folder.join('a.yaml'), disk('a'));
  await writeFile(folder.join('.granaryignore'), 'out\nout.yaml\n');
  await symlink('/etc', folder.join('out'));
  await symlink('/etc/hostname', folder.join('out.yaml'));
  expect(found(await loadConfiguration(folder.path))).toEqual([]);
});
