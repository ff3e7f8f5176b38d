/** `migrate` as people run it: the worked examples of its page, what it refuses, and what it writes. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { root } from '../house/repository.ts';
import { describeWith } from '../servers/describe.ts';
import { startEtcd } from '../servers/etcd.ts';
import { startMinio } from '../servers/minio.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { requireTool } from '../servers/tools.ts';
import { entry } from './entry.ts';
import { Fleet } from './fleet.ts';
import { expectFailure, filesIn, granary, granaryJson, plant } from './granary.ts';

const examples = join(root, 'examples/migrate');
const page = readFileSync(join(root, 'docs/migrate.md'), 'utf8');

interface Result {
  readonly written: boolean;
  readonly folder: string | null;
  readonly files: readonly { readonly path: string; readonly change: string; readonly text: string }[];
  readonly steps: readonly string[];
  readonly diff: string;
}

let folder: TempFolder;
beforeEach(() => {
  folder = tempFolder('migrate');
});
afterEach(() => folder.remove());

/** The fleet of the examples, to write into. */
function fleet(): string {
  cpSync(join(examples, 'fleet'), folder.join('fleet'), { recursive: true });
  return folder.join('fleet');
}

describe('docs/migrate.md', () => {
  const blocks = [...page.matchAll(/```console\n\$ granary ([^\n]*)\n([\s\S]*?)```/g)];
  test('has one worked example for each source', () => {
    expect(blocks).toHaveLength(3);
  });

  test.each(blocks.map(([, command = '', output = '']) => [command, output]))(
    'granary %s',
    async (command, output) => {
      const ran = await granary(command.split(' '), { cwd: examples });
      expect(ran).toMatchObject({ code: 0, stderr: '', stdout: output });
    },
  );

  test('shows the inputs as they are', () => {
    const shown = [...page.matchAll(/```yaml\n# (\S+)\n([\s\S]*?)```/g)];
    expect(shown.map(([, file = '']) => file)).toEqual([
      'fleet/seeds/eu-west.yaml',
      'kubermatic-seed.yaml',
      'kubermatic-backup-configs.yaml',
      'velero-location.yaml',
    ]);
    for (const [, file = '', text] of shown) expect(readFileSync(join(examples, file), 'utf8')).toBe(text);
  });
});

describe('granary migrate', () => {
  test('shows a difference that `git apply` takes, and --yes writes the same', async () => {
    const written = fleet();
    cpSync(written, folder.join('applied'), { recursive: true });
    const shown = await granaryJson<Result>(['migrate', '--path', written]);
    expect(shown).toMatchObject({ written: false, folder: written });
    expect(filesIn(written)).toEqual(filesIn(folder.join('applied')));
    execFileSync('git', ['apply', '-'], { cwd: folder.join('applied'), input: shown.diff });

    const ran = await granaryJson<Result>(['migrate', '--path', written, '--yes']);
    expect(ran.written).toBe(true);
    const names = filesIn(written);
    expect(names).toEqual(filesIn(folder.join('applied')));
    expect(names).toEqual([
      '.sops.yaml',
      'credentials/old-key.sops.yaml',
      'destinations/eu-west-backup.yaml',
      'policies/eu-west-backup.yaml',
      'seeds/eu-west.yaml',
    ]);
    for (const name of names)
      expect(readFileSync(join(written, name), 'utf8')).toBe(
        readFileSync(folder.join('applied', name), 'utf8'),
      );
    const checked = await granary(['validate', '--path', written]);
    expect(checked.stdout).toBe('No errors, no warnings in 4 files. Nothing was contacted.\n');

    const again = await granary(['migrate', '--path', written, '--yes']);
    expect(again).toMatchObject({ code: 0, stdout: 'Nothing to migrate: no seed has `backup:`.\n' });
  });

  test('one file of several', async () => {
    const path = fleet();
    const seed = readFileSync(join(path, 'seeds/eu-west.yaml'), 'utf8');
    writeFileSync(
      join(path, 'seeds/us.yaml'),
      seed.replace('name: eu-west', 'name: us').replace('etcd-old', 'etcd-us'),
    );
    const { files } = await granaryJson<Result>(['migrate', 'fleet/seeds/us.yaml', '--path', 'fleet'], {
      cwd: folder.path,
    });
    expect(files.map((file) => file.path)).toEqual([
      'seeds/us.yaml',
      'destinations/us-backup.yaml',
      'policies/us-backup.yaml',
    ]);
  });

  test('an error in what the seed reaches stops it, one elsewhere does not', async () => {
    const path = fleet();
    writeFileSync(
      join(path, 'seeds/other.yaml'),
      'apiVersion: granary.dev/v1\nkind: Seed\nmetadata: {name: other}\nspec: {clusters: 7}\n',
    );
    expect((await granaryJson<Result>(['migrate', '--path', path])).files).toHaveLength(3);
    // A policy that cannot be read may match any seed.
    writeFileSync(
      join(path, 'policy.yaml'),
      'apiVersion: granary.dev/v1\nkind: Policy\nmetadata: {name: p}\nspec: {clusters: 7}\n',
    );
    await expectFailure(['migrate', '--path', path, '--yes'], {
      code: 'config-invalid',
      says: ['policy.yaml:4:'],
      hint: '',
    });
    expect(filesIn(path)).toHaveLength(5);
  });

  test.each([
    [
      'a file that is not there',
      ['migrate', 'nothing.yaml'],
      'file-unreadable',
      'nothing.yaml',
      'name the YAML file',
    ],
    ['a folder', ['migrate', 'fleet'], 'file-unreadable', 'no file', 'name the file itself'],
    ['a folder without configuration', ['migrate', '--path', 'empty'], 'config-not-found', 'empty', '--path'],
    ['broken YAML', ['migrate', 'broken.yaml'], 'config-invalid', 'broken.yaml:2:1:', 'nothing was written'],
    [
      'a seed of another repository',
      ['migrate', 'fleet/seeds/eu-west.yaml', '--path', 'other'],
      'usage',
      'no file of the configuration',
      '--path',
    ],
    ['a seed on stdin', ['migrate', '-'], 'config-invalid', '-:1:1', ''],
    ['nowhere to write to', ['migrate', 'location.yaml', '--yes'], 'usage', 'where to write', '--output-dir'],
    [
      'another place for a seed',
      ['migrate', '--path', 'fleet', '--output-dir', 'x'],
      'usage',
      '--output-dir is for',
      '--path',
    ],
    [
      'a place to read manifests from',
      ['migrate', 'location.yaml', '--path', 'fleet'],
      'usage',
      '--path is for',
      '--output-dir',
    ],
    [
      'both at once',
      ['migrate', 'fleet/seeds/eu-west.yaml', 'location.yaml'],
      'usage',
      'is not',
      'one after the other',
    ],
    ['an option that is not there', ['migrate', '--write'], 'usage', '--write', 'migrate --help'],
  ] as const)('%s', async (_, args, code, says, hint) => {
    fleet();
    mkdirSync(folder.join('empty'));
    mkdirSync(folder.join('other'));
    writeFileSync(
      folder.join('other', 'd.yaml'),
      'apiVersion: granary.dev/v1\nkind: Repository\nmetadata: {name: r}\nspec: {}\n',
    );
    writeFileSync(folder.join('broken.yaml'), 'kind: [\n');
    cpSync(join(examples, 'velero-location.yaml'), folder.join('location.yaml'));
    const before = filesIn(folder.path);
    await expectFailure([...args], { code, says: [says], hint }, { cwd: folder.path });
    expect(filesIn(folder.path)).toEqual(before);
  });

  test('a file of a new name that is there is left alone, and nothing is written', async () => {
    const path = fleet();
    mkdirSync(join(path, 'policies'));
    symlinkSync('/nonexistent', join(path, 'policies/eu-west-backup.yaml'));
    const seed = readFileSync(join(path, 'seeds/eu-west.yaml'), 'utf8');
    rmSync(join(path, 'policies/eu-west-backup.yaml'));
    writeFileSync(join(path, 'policies/eu-west-backup.yaml'), '# ours\n');
    await expectFailure(['migrate', '--path', path, '--yes'], {
      code: 'target-exists',
      says: ['policies/eu-west-backup.yaml', 'nothing was written'],
      hint: 'move it away',
    });
    expect(readFileSync(join(path, 'policies/eu-west-backup.yaml'), 'utf8')).toBe('# ours\n');
    expect(readFileSync(join(path, 'seeds/eu-west.yaml'), 'utf8')).toBe(seed);
    expect(readdirSync(path).sort()).toEqual(['.sops.yaml', 'credentials', 'policies', 'seeds']);
  });

  test.runIf(process.getuid?.() === 0)('a folder that cannot be written to', async () => {
    const path = fleet();
    for (const place of [folder.path, path, join(path, 'seeds')]) chmodSync(place, 0o755);
    await expectFailure(
      ['migrate', '--path', path, '--yes'],
      { code: 'target-unwritable', says: ['EACCES', 'nothing was changed'], hint: 'may write' },
      { uid: 65_534 },
    );
    expect(filesIn(path)).toHaveLength(3);
  });

  test('what stands in the output folder already is not doubled', async () => {
    const path = fleet();
    writeFileSync(
      join(path, 'd.yaml'),
      'apiVersion: granary.dev/v1\nkind: Destination\nmetadata: {name: offsite}\nspec: {provider: filesystem, path: /var/b}\n',
    );
    await expectFailure(['migrate', join(examples, 'velero-location.yaml'), '--output-dir', path, '--yes'], {
      code: 'target-exists',
      says: ['offsite'],
      hint: 'empty folder',
    });
  });

  test('what another program prints, on stdin', () => {
    const input = readFileSync(join(examples, 'velero-location.yaml'), 'utf8');
    const args = [entry, 'migrate', '-', '--output-dir', 'fleet', '--yes'];
    const said = execFileSync(process.execPath, args, { cwd: folder.path, input, encoding: 'utf8' });
    expect(said).toMatch(/^Written into fleet:\n {2}\+ destinations\/offsite.yaml\n/);
    expect(said).toContain('say in .sops.yaml for whom Credentials are encrypted');
    expect(filesIn(folder.join('fleet'))).toEqual([
      'credentials/velero-aws.sops.yaml.template',
      'destinations/offsite.yaml',
    ]);
  });

  test('text from outside cannot drive the terminal', async () => {
    const text = readFileSync(join(examples, 'velero-location.yaml'), 'utf8').replace(
      '# in Frankfurt',
      '# \u001b[31mred\u202e',
    );
    writeFileSync(folder.join('location.yaml'), text);
    const ran = await granary(['migrate', 'location.yaml'], { cwd: folder.path });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain('# \\x1b[31mred\\u202e');
    expect(ran.stdout + ran.stderr).not.toContain('\u001b[31m');
  });
});

describeWith(['sops'], 'granary migrate from Kubermatic and Velero, to the end', () => {
  test.each([
    ['kubermatic', ['kubermatic-seed.yaml', 'kubermatic-backup-configs.yaml'], 2],
    ['velero', ['velero-locations.yaml'], 4],
  ])(
    '%s: after the steps it is valid, and no secret was ever in plain text',
    async (_, inputs, credentials) => {
      using made = await Fleet.make({ endpoints: ['http://127.0.0.1:2379'] });
      const target = folder.join('target');
      mkdirSync(target);
      writeFileSync(join(target, '.sops.yaml'), made.read('.sops.yaml'));
      const args = [
        'migrate',
        ...inputs.map((file) => join(examples, file)),
        '--output-dir',
        target,
        '--yes',
      ];
      const { steps } = await granaryJson<Result>(args);
      const commands = steps
        .join('\n')
        .split('\n')
        .map((line) => line.trim());
      const encrypts = commands.filter((line) => line.startsWith('sops encrypt '));
      expect(encrypts).toHaveLength(credentials);
      // The editor: values in the place of what the template says about them.
      const editor = folder.join('editor.sh');
      const secret = plant('value-from-the-secret');
      writeFileSync(editor, `#!/bin/sh\nsed -i "s/: ['\\"]*FILL IN: .*/: ${secret}/" "$1"\n`, {
        mode: 0o755,
      });
      const env = {
        PATH: `${dirname(requireTool('sops'))}:${process.env.PATH}`,
        HOME: folder.path,
        EDITOR: editor,
        SOPS_AGE_KEY_FILE: made.keyFile,
        SOPS_DISABLE_VERSION_CHECK: '1',
      };
      for (const line of commands.filter((one) => /^(sops|rm) /.test(one))) {
        execFileSync('sh', ['-c', line], { cwd: target, env, stdio: 'pipe', timeout: 30_000 });
        for (const name of filesIn(target))
          expect(readFileSync(join(target, name), 'utf8')).not.toContain(secret);
      }
      expect(filesIn(target).filter((name) => name.endsWith('.template'))).toEqual([]);
      for (const line of commands.filter((one) => one.startsWith('granary secrets lint'))) {
        const ran = await granary(line.split(' ').slice(1), { cwd: target });
        expect(ran.code, ran.stdout).toBe(0);
      }
      const opened = await granaryJson<{ items: { verdict: string }[] }>(
        [
          'secrets',
          'verify',
          ...filesIn(target).filter((name) => name.endsWith('.sops.yaml') && name !== '.sops.yaml'),
          '--age-key-file',
          made.keyFile,
        ],
        { cwd: target },
      );
      expect(opened.items.map(({ verdict }) => verdict)).toEqual(Array(credentials).fill('accept'));
      const checked = await granaryJson<{ valid: boolean; diagnostics: { severity: string }[] }>([
        'validate',
        '--path',
        target,
      ]);
      expect(checked.diagnostics.filter(({ severity }) => severity === 'error')).toEqual([]);
      expect(checked.valid).toBe(true);
    },
  );
});

describeWith(['etcd-3.6', 'minio', 'sops'], 'granary migrate beside a running fleet', () => {
  test('what was applied before, and every backup, is the same afterwards', async () => {
    await using etcd = await startEtcd({ version: '3.6' });
    await using minio = await startMinio();
    await minio.createBucket('old-bucket');
    using made = await Fleet.make({ endpoints: etcd.endpoints, destinations: {} });
    made.remove('policy-hourly.yaml');
    made.remove('seed-eu.yaml');
    const { accessKeyId, secretAccessKey } = minio;
    made.seal('old-key', 's3', { accessKeyId, secretAccessKey });
    made.writeText(
      'seeds/eu.yaml',
      `apiVersion: granary.dev/v1\nkind: Seed\nmetadata: {name: eu}\nspec:\n  # the first store\n  backup: {bucket: old-bucket, prefix: etcd, endpoint: "${minio.endpoint}", credential: old-key}\n  clusters:\n    - {name: prod, endpoints: ["${etcd.endpoints[0]}"]}\n`,
    );
    const applied = await granary(['apply', ...made.opened], { env: made.env });
    expect(applied.code, applied.stderr).toBe(0);
    const list = () =>
      granaryJson<{ items: { id: string; destination: string; keptBy: string[] }[] }>([
        'get',
        'backups',
        ...made.opened,
      ]);
    const before = await list();
    expect(before.items.map(({ destination }) => destination)).toEqual(['eu-backup']);

    await granaryJson(['migrate', ...made.source, '--yes']);
    expect(made.read('seeds/eu.yaml')).not.toContain('backup:');
    expect(await list()).toEqual(before);
    const plan = await granaryJson<{
      changes: object[];
      warnings: object[];
      guards: object[];
      actions: { type: string }[];
    }>(['plan', ...made.opened, '--seed', 'eu']);
    expect(plan.changes).toEqual([]);
    expect(plan.guards).toEqual([]);
    expect(plan.actions.filter(({ type }) => type !== 'backup')).toEqual([]);
  });
});
