import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { describeWith } from '../servers/describe.ts';
import { startEtcd } from '../servers/etcd.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { requireTool } from '../servers/tools.ts';
import { expectFailure, filesIn, granary, granaryJson, plant } from './granary.ts';

const written = [
  '.github/workflows/granary.yaml',
  '.gitignore',
  '.sops.yaml',
  'age.key',
  'destinations/local.yaml',
  'policies/hourly.yaml',
  'seeds/example.yaml',
];

let folder: TempFolder;

beforeEach(() => {
  folder = tempFolder('init');
});
afterEach(() => folder.remove());

interface Made {
  readonly folder: string;
  readonly files: readonly string[];
  readonly recipient: string;
  readonly backups: string;
  readonly next: readonly string[];
}

const privateKeyOf = (repository: string): string =>
  plant(/AGE-SECRET-KEY-1\w+/.exec(readFileSync(join(repository, 'age.key'), 'utf8'))?.[0] ?? 'none');

describe('granary init', () => {
  test('writes a repository that is valid, and says what comes next', async () => {
    const ran = await granary(['init', 'fleet'], { cwd: folder.path });
    const fleet = folder.join('fleet');
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(filesIn(fleet)).toEqual(written);
    for (const name of written) expect(ran.stdout).toContain(`  ${name} `);
    expect(ran.stdout).toContain(
      `  mkdir -p ${folder.path}/fleet-backups\n  granary validate --path fleet\n`,
    );
    expect(ran.stdout).not.toContain(privateKeyOf(fleet));
    expect(readdirSync(folder.path)).toEqual(['fleet']);

    const checked = await granaryJson<{ valid: boolean; diagnostics: { code: string }[] }>([
      'validate',
      '--path',
      fleet,
    ]);
    expect(checked.valid).toBe(true);
    expect(checked.diagnostics.map(({ code }) => code)).toEqual(['lone-recipient']);
  });

  test('the private key is one’s own, readable by nobody else, and ignored by Git', async () => {
    const [one, two] = await Promise.all(
      ['one', 'two'].map((name) => granaryJson<Made>(['init', folder.join(name)])),
    );
    expect(one?.recipient).toMatch(/^age1[a-z0-9]{58}$/);
    expect(one?.recipient).not.toBe(two?.recipient);
    const repository = folder.join('one');
    expect(statSync(join(repository, 'age.key')).mode & 0o777).toBe(0o600);
    for (const name of ['.sops.yaml', 'policies/hourly.yaml'])
      expect(readFileSync(join(repository, name), 'utf8')).toContain(one?.recipient);
    for (const name of written.filter((each) => each !== 'age.key'))
      expect(readFileSync(join(repository, name), 'utf8')).not.toContain('AGE-SECRET-KEY');
    const git = (...args: string[]) => execFileSync('git', args, { cwd: repository, encoding: 'utf8' });
    git('init', '--quiet');
    git('add', '--all');
    expect(git('ls-files').trim().split('\n').sort()).toEqual(written.filter((name) => name !== 'age.key'));
  });

  test('into the current folder, beside what is there', async () => {
    writeFileSync(folder.join('README.md'), 'ours\n');
    const made = await granaryJson<Made>(['init'], { cwd: folder.path });
    expect([...made.files].sort()).toEqual(written);
    expect(made.next).toContain('granary validate');
    expect(readFileSync(folder.join('README.md'), 'utf8')).toBe('ours\n');
    expect((await granary(['validate'], { cwd: folder.path })).code).toBe(0);
  });

  test('a path that needs quotes is quoted, in YAML and for the shell', async () => {
    const made = await granaryJson<Made>(['init', "it's: #1"], { cwd: folder.path });
    expect(made.backups).toBe(folder.join("it's: #1-backups"));
    const [mkdir = '', validate = ''] = made.next;
    execFileSync('sh', ['-c', mkdir]);
    expect(existsSync(made.backups)).toBe(true);
    expect(validate).toBe(`granary validate --path 'it'\\''s: #1'`);
    const text = readFileSync(join(made.folder, 'destinations/local.yaml'), 'utf8');
    expect(parseAllDocuments(text)[0]?.toJS()).toMatchObject({ spec: { path: made.backups } });
  });

  test('the workflow and the rules for SOPS are YAML', async () => {
    await granaryJson<Made>(['init', folder.join('fleet')]);
    for (const name of ['.github/workflows/granary.yaml', '.sops.yaml']) {
      const [document] = parseAllDocuments(readFileSync(folder.join('fleet', name), 'utf8'));
      expect(document?.errors).toEqual([]);
    }
  });

  test.each(written)('refuses where %s is there, and writes nothing', async (name) => {
    const fleet = folder.join('fleet');
    mkdirSync(join(fleet, name, '..'), { recursive: true });
    // A link counts, even one that leads nowhere.
    if (name === 'age.key') symlinkSync('/nonexistent', join(fleet, name));
    else writeFileSync(join(fleet, name), 'ours\n');
    await expectFailure(['init', fleet], {
      code: 'target-exists',
      says: [fleet, name, 'nothing was written'],
      hint: 'granary init',
    });
    expect(filesIn(fleet)).toEqual([name]);
    if (name !== 'age.key') expect(readFileSync(join(fleet, name), 'utf8')).toBe('ours\n');
  });

  test('a folder that cannot be written to: nothing is left', async () => {
    writeFileSync(folder.join('file'), '');
    await expectFailure(['init', folder.join('file', 'fleet')], {
      code: 'target-unwritable',
      says: ['ENOTDIR'],
      hint: 'may write',
    });
    // `policies` is written after `seeds` and `destinations`, which are then taken back.
    mkdirSync(folder.join('half'));
    symlinkSync('/nonexistent/policies', folder.join('half', 'policies'));
    await expectFailure(
      ['init', folder.join('half')],
      { code: 'target-unwritable', says: ['half'], hint: 'may write' },
      { inTurn: true },
    );
    expect(readdirSync(folder.join('half'))).toEqual(['policies']);
  });
});

describeWith(['etcd-3.6', 'sops'], 'granary init against a running etcd', () => {
  test('the next commands back up and restore, and sops finds its rules', async () => {
    await using etcd = await startEtcd({ version: '3.6' });
    const made = await granaryJson<Made>(['init', folder.join('fleet')]);
    privateKeyOf(made.folder);
    const seed = join(made.folder, 'seeds/example.yaml');
    const edited = readFileSync(seed, 'utf8').replace('http://127.0.0.1:2379', etcd.endpoints[0] ?? '');
    writeFileSync(seed, edited);
    const [mkdir = '', , backup = ''] = made.next;
    execFileSync('sh', ['-c', mkdir]);
    const ran = await granary(backup.split(' ').slice(1));
    expect(ran.code, ran.stderr).toBe(0);
    const target = folder.join('out.db');
    const key = ['--age-key-file', join(made.folder, 'age.key')];
    const restored = await granary([
      'restore',
      'example/etcd',
      '--path',
      made.folder,
      '--to',
      target,
      ...key,
    ]);
    expect(restored.code, restored.stderr).toBe(0);
    expect(statSync(target).size).toBeGreaterThan(0);

    const credential = join(made.folder, 'key.sops.yaml');
    const plain = { type: 's3', data: { secretAccessKey: plant('very-secret-value') } };
    writeFileSync(credential, JSON.stringify(plain));
    execFileSync(requireTool('sops'), ['--encrypt', '--in-place', credential], { cwd: made.folder });
    const text = readFileSync(credential, 'utf8');
    expect(text).not.toContain('very-secret-value');
    expect(text).toContain(made.recipient);
  });
});
