/** What people get wrong most, and what they are told: word for word, in `transcripts/mistakes.txt`. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { granary } from './granary.ts';

let folder: TempFolder;
beforeAll(async () => {
  folder = tempFolder('mistakes');
  expect((await granary(['init', folder.join('fleet')])).code).toBe(0);
  mkdirSync(folder.join('fleet-backups'));
  mkdirSync(folder.join('empty'));
  execFileSync('sed', ['-i', 's/:2379/:1/', folder.join('fleet/seeds/example.yaml')]);
});
afterAll(() => folder.remove());

const mistakes: readonly (readonly string[])[] = [
  ['plan', '--sed', 'example'],
  ['backup'],
  ['restor', 'example/etcd'],
  ['--path', 'fleet', 'plan'],
  ['get', 'weather'],
  ['plan', '-o', 'yaml'],
  ['inspect', 'missing.db'],
  ['validate', '--path', 'empty'],
  ['validate', '--path', 'nowhere'],
  ['get', 'backups', '--path', 'fleet', '--age-key-file', 'missing.key'],
  ['backup', 'example/etcd', '--path', 'fleet', '--progress', 'none'],
  ['backup', 'example', '--path', 'fleet'],
  ['plan', '--seed', 'exampel', '--path', 'fleet'],
  ['restore', 'example/etcd/hourly/20261121T140000Z', '--to', 'out.db', '--path', 'fleet'],
  ['restore', 'example/etcd', '--at', 'yesterday', '--to', 'out.db', '--path', 'fleet'],
  ['restore', 'example/etcd', '--path', 'fleet'],
  ['secrets'],
];

test('each is told what is wrong and what would be right', async () => {
  const told: string[] = [];
  for (const args of mistakes) {
    const ran = await granary(args, { cwd: folder.path });
    expect(ran, args.join(' ')).toMatchObject({ code: 1, stdout: '' });
    const said = ran.stderr.replaceAll(folder.path, '/tmp/here');
    expect(said).toMatch(/^error: .*\nhint: .*\n$/);
    told.push(`$ granary ${args.join(' ')}\n${said}`);
  }
  await expect(told.join('\n')).toMatchFileSnapshot('transcripts/mistakes.txt');
});
