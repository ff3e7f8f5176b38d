/** What can be wrong before anything is contacted: the command line, the configuration, the keys, the repository. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { generateX25519Identity } from 'age-encryption';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { describeWith } from '../servers/describe.ts';
import { Fleet, freshSecret } from './fleet.ts';
import { expectErrorText, expectFailure, type Failure, granary, plant } from './granary.ts';

/** Nothing listens there, and nothing that is tested here may try. */
const endpoints = ['http://127.0.0.1:1'];
let fleet: Fleet;

beforeEach(async () => {
  fleet = await Fleet.make({ endpoints });
});

afterEach(() => {
  expect(fleet.leftInTemp()).toEqual([]);
  expect(fleet.stored('local')).toEqual([]);
  fleet[Symbol.dispose]();
});

describe('the command line', () => {
  const usage = { code: 'usage' } as const;
  const mistakes: [string, string[], Omit<Failure, 'code'>][] = [
    ['an unknown command', ['bakup', 'eu/prod'], { says: ['`bakup`'], hint: 'did you mean `backup`?' }],
    [
      'an unknown option',
      ['backup', 'eu/prod', '--fast'],
      { says: ['`--fast`'], hint: '`granary backup --help`' },
    ],
    [
      'a mistyped option',
      ['backup', 'eu/prod', '--sed', 'eu'],
      { says: ['`--sed`'], hint: 'did you mean `--seed`?' },
    ],
    ['no argument', ['backup'], { says: ['seed/cluster'], hint: '`granary backup --help`' }],
    [
      'too many arguments',
      ['backup', 'eu/prod', 'eu/test'],
      { says: ['too many arguments'], hint: 'eu/test' },
    ],
    [
      'nowhere to restore to',
      ['restore', 'eu/prod'],
      { says: ['nothing says where to restore to'], hint: '--data-dir DIR' },
    ],
    [
      'a value that is none',
      ['verify', '--progress', 'loud'],
      { says: ['`loud`', '--progress'], hint: 'auto, plain, none' },
    ],
    [
      '--path with --repo',
      ['plan', '--path', 'a', '--repo', 'b'],
      { says: ['`--path <dir>`', '`--repo <url>`'], hint: '`granary plan --help`' },
    ],
    [
      'an option before the command',
      ['--path', 'x', 'plan'],
      { says: ['`--path`'], hint: 'options follow the command: `granary plan --path' },
    ],
    ['a kind that is none', ['get', 'bananas'], { says: ['`bananas`'], hint: 'backups' }],
    [
      'a filter that is none',
      ['get', 'backups', '--filter', 'prod'],
      { says: ['`prod`'], hint: 'cluster=prod-a' },
    ],
    ['a cluster that is none', ['backup', 'prod'], { says: ['`prod`'], hint: 'SEED/CLUSTER' }],
    [
      'a backup that is none',
      ['restore', 'eu/prod/x', '--to', 'x.db'],
      { says: ['`eu/prod/x`'], hint: 'SEED/CLUSTER' },
    ],
    [
      'a time that is none',
      ['restore', 'eu/prod', '--to', 'x.db', '--at', 'noon'],
      { says: ['`noon`'], hint: '2026-11-21T14:00:00Z' },
    ],
    [
      'a time to keep that is none',
      ['backup', 'eu/prod', '--keep', 'long'],
      { says: ['`long`'], hint: '7d' },
    ],
    [
      'a time to keep that no date can hold',
      ['backup', 'eu/prod', '--keep', '999999999d'],
      { says: ['`999999999d`'], hint: 'forever' },
    ],
    [
      'a time to keep that has no name',
      ['backup', 'eu/prod', '--keep', '3000000d'],
      { says: ['`3000000d`'], hint: 'forever' },
    ],
  ];

  test.each(mistakes)('%s', async (_, words, failure) => {
    await expectFailure(words, { ...usage, ...failure }, { env: fleet.env, cwd: fleet.config });
  });

  test('an option without its value', async () => {
    expectErrorText(await granary(['restore', 'eu/prod', '--to']), {
      ...usage,
      says: ['`--to <file.db>` needs a value'],
      hint: '`granary restore --help`',
    });
  });

  test('a format that a command cannot write', async () => {
    expectErrorText(await granary(['get', 'backups', '-o', 'xml']), {
      ...usage,
      says: ['`xml`', '--output'],
      hint: 'text, json',
    });
  });

  test('no words at all give the help, and a help that is asked for is no error', async () => {
    for (const words of [[], ['--help'], ['help'], ['backup', '--help'], ['help', 'backup'], ['--version']]) {
      const { code, stdout, stderr } = await granary(words);
      expect({ code, stderr }, words.join(' ')).toEqual({ code: 0, stderr: '' });
      expect(stdout, words.join(' ')).toMatch(/granary/);
    }
  });
});

describe('the configuration', () => {
  const commands = [
    'backup eu/prod',
    'plan',
    'apply',
    'get backups',
    'restore eu/prod --to x.db',
    'verify',
    'inventory',
  ];

  async function everyCommandFails(failure: Failure): Promise<void> {
    const run = (command: string) =>
      granary([...command.split(' '), ...fleet.opened], { env: fleet.env, cwd: fleet.temp });
    for (const ran of await Promise.all(commands.map(run))) expectErrorText(ran, failure);
    await expectFailure(['backup', 'eu/prod', ...fleet.opened], failure, { env: fleet.env });
  }

  test('YAML that cannot be read', async () => {
    fleet.writeText('broken.yaml', 'apiVersion: granary.dev/v1\nkind: "Seed\n');
    await everyCommandFails({
      code: 'config-invalid',
      says: ['the configuration has', 'broken.yaml:'],
      hint: '',
    });
  });

  test('an unknown field, with what was meant', async () => {
    fleet.writePolicy('hourly', { destinations: ['local'], suspendd: true });
    await expectFailure(
      ['backup', 'eu/prod', ...fleet.opened],
      {
        code: 'config-invalid',
        says: ['policy-hourly.yaml:', '`suspendd`'],
        hint: 'did you mean `suspend`?',
      },
      { env: fleet.env },
    );
  });

  test('a reference to nothing, with what there is', async () => {
    fleet.writePolicy('hourly', { destinations: ['locall'] });
    await expectFailure(
      ['plan', ...fleet.opened],
      { code: 'config-invalid', says: ['policy-hourly.yaml:', '`locall`'], hint: 'local' },
      { env: fleet.env },
    );
  });

  test('several faults: the first is told, and how many more there are', async () => {
    fleet.writePolicy('hourly', { destinations: ['nowhere'], suspendd: true, keep: {} });
    await expectFailure(
      ['plan', ...fleet.opened],
      { code: 'config-invalid', says: ['the configuration has errors', 'more'], hint: '' },
      { env: fleet.env },
    );
    const validated = await granary(['validate', ...fleet.source], { env: fleet.env });
    expect(validated.code).toBe(1);
    expect(validated.stdout).toContain('`nowhere`');
    expect(validated.stdout).toContain('`suspendd`');
  });

  test('a folder without any', async () => {
    await expectFailure(
      ['plan', '--path', fleet.temp],
      { code: 'config-not-found', says: [fleet.temp], hint: '--path' },
      { env: fleet.env },
    );
    await expectFailure(
      ['plan', '--path', fleet.folder.join('nowhere')],
      { code: 'config-not-found', says: ['nowhere', 'does not exist'], hint: '--path' },
      { env: fleet.env },
    );
  });

  test('names of nothing: seed, cluster, destination, policy', async () => {
    const unknown = (words: string[], says: string[], hint: string) =>
      expectFailure([...words, ...fleet.opened], { code: 'unknown-object', says, hint }, { env: fleet.env });
    await unknown(['backup', 'us/prod'], ['us'], 'eu');
    await unknown(['backup', 'eu/test'], ['eu/test'], 'eu/prod');
    await unknown(['plan', '--seed', 'us'], ['seed us'], 'eu');
    await unknown(['get', 'backups', '--seed', 'us'], ['seed us'], 'eu');
    await unknown(['inventory', '--seed', 'us'], ['seed us'], 'eu');
    await unknown(['backup', 'eu/prod', '--destination', 'moon'], ['moon'], 'local');
    await unknown(['backup', 'eu/prod', '--policy', 'daily'], ['policy daily'], 'hourly');
    await unknown(['restore', 'us/prod', '--to', 'x.db'], ['us'], 'eu');
    await unknown(['restore', 'eu/prod@moon', '--to', 'x.db'], ['moon'], 'local');
  });

  test('a cluster that Git no longer names may still have backups: only that there are none is said', async () => {
    await expectFailure(
      ['restore', 'eu/test', '--to', 'x.db', ...fleet.opened],
      { code: 'backup-not-found', says: ['no backup of eu/test'], hint: 'granary get backups' },
      { env: fleet.env },
    );
  });

  test('a seed of nothing, where no private key is asked for', async () => {
    await expectFailure(
      ['validate', '--seed', 'us', ...fleet.source],
      { code: 'unknown-object', says: ['seed us'], hint: 'eu' },
      { env: fleet.env },
    );
  });

  test('two policies of one cluster: one must be named', async () => {
    fleet.writePolicy('daily', { destinations: ['local'] });
    await expectFailure(
      ['backup', 'eu/prod', ...fleet.opened],
      { code: 'ambiguous-policy', says: ['eu/prod', 'daily', 'hourly'], hint: '--policy daily' },
      { env: fleet.env },
    );
  });

  test('a cluster that no policy reaches', async () => {
    fleet.remove('policy-hourly.yaml');
    await expectFailure(
      ['backup', 'eu/prod', ...fleet.opened],
      { code: 'ambiguous-policy', says: ['no policy applies to eu/prod'], hint: 'Policy' },
      { env: fleet.env },
    );
  });

  test('a file that is not there: certificate, key file, snapshot', async () => {
    fleet.write('Seed', 'eu', {
      clusters: [{ name: 'prod', endpoints: ['https://127.0.0.1:1'], tls: { caFile: '/nowhere/ca.pem' } }],
    });
    await expectFailure(
      ['backup', 'eu/prod', ...fleet.opened],
      { code: 'file-unreadable', says: ['/nowhere/ca.pem', 'does not exist'], hint: 'caFile' },
      { env: fleet.env },
    );
    await expectFailure(
      ['backup', 'eu/prod', ...fleet.source, '--age-key-file', '/nowhere/age.key'],
      { code: 'file-unreadable', says: ['/nowhere/age.key', 'does not exist'], hint: '--age-key-file' },
      { env: fleet.env },
    );
    await expectFailure(
      ['inspect', '/nowhere/snapshot.db', ...fleet.source],
      { code: 'file-unreadable', says: ['/nowhere/snapshot.db', 'does not exist'], hint: 'SEED/CLUSTER' },
      { env: fleet.env },
    );
    await expectFailure(
      ['inspect', 'snapshot.db', ...fleet.source],
      { code: 'file-unreadable', says: ['snapshot.db', 'does not exist'], hint: 'SEED/CLUSTER' },
      { env: fleet.env },
    );
  });
});

describeWith(['sops'], 'a credential', () => {
  beforeEach(() => {
    fleet.write('Seed', 'eu', { clusters: [{ name: 'prod', endpoints, auth: { credential: 'etcd-prod' } }] });
    fleet.seal('etcd-prod', 'etcd', { username: 'root', password: freshSecret() });
  });

  const backup = ['backup', 'eu/prod'];

  test('no private key', async () => {
    await expectFailure(
      [...backup, ...fleet.source],
      { code: 'age-key-missing', says: ['etcd-prod.sops.yaml'], hint: '--age-key-file' },
      { env: fleet.env },
    );
  });

  test('another private key', async () => {
    const other = plant(await generateX25519Identity());
    const file = fleet.folder.join('other.key');
    writeFileSync(file, `${other}\n`, { mode: 0o600 });
    await expectFailure(
      [...backup, ...fleet.source, '--age-key-file', file],
      { code: 'age-key-wrong', says: ['etcd-prod.sops.yaml', fleet.recipient], hint: 'recipients' },
      { env: fleet.env },
    );
    await expectFailure(
      [...backup, ...fleet.source],
      { code: 'age-key-wrong', says: ['etcd-prod.sops.yaml'], hint: 'recipients' },
      { env: { ...fleet.env, SOPS_AGE_KEY: other } },
    );
  });

  test('what is no private key is not repeated', async () => {
    const file = fleet.folder.join('bad.key');
    const last = fleet.identity.endsWith('Q') ? 'P' : 'Q';
    const mistyped = plant(`${fleet.identity.slice(0, -1)}${last}`);
    writeFileSync(file, `# mine\n${mistyped}\n`, { mode: 0o600 });
    await expectFailure(
      [...backup, ...fleet.source, '--age-key-file', file],
      { code: 'age-key-invalid', says: [`${file}:2`], hint: 'copy the whole line' },
      { env: fleet.env },
    );
  });

  test('a file that was changed without sops', async () => {
    const text = fleet.read('etcd-prod.sops.yaml');
    fleet.writeText(
      'etcd-prod.sops.yaml',
      text.replace(/lastmodified: ".*?"/, 'lastmodified: "2020-01-01T00:00:00Z"'),
    );
    await expectFailure(
      [...backup, ...fleet.opened],
      { code: 'sops-tampered', says: ['etcd-prod.sops.yaml', 'lastmodified'], hint: 'a commit you trust' },
      { env: fleet.env },
    );
    fleet.writeText(
      'etcd-prod.sops.yaml',
      text.replace(
        /(password: ENC\[AES256_GCM,data:)(.)/,
        (_, head, first) => `${head}${first === 'A' ? 'B' : 'A'}`,
      ),
    );
    await expectFailure(
      [...backup, ...fleet.opened],
      { code: 'sops-tampered', says: ['etcd-prod.sops.yaml', 'data.password'], hint: 'a commit you trust' },
      { env: fleet.env },
    );
  });

  test('a secret in plain text is refused without being shown', async () => {
    const secret = plant(freshSecret());
    fleet.writeText(
      'etcd-prod.sops.yaml',
      `apiVersion: granary.dev/v1\nkind: Credential\nmetadata: {name: etcd-prod}\nspec: {type: etcd}\ndata: {username: root, password: ${secret}}\n`,
    );
    await expectFailure(
      [...backup, ...fleet.opened],
      { code: 'config-invalid', says: ['etcd-prod.sops.yaml:'], hint: 'sops' },
      { env: fleet.env },
    );
    const validated = await granary(['validate', ...fleet.source], { env: fleet.env });
    expect(validated).toMatchObject({ code: 1, stderr: '' });
    expect(validated.stdout).toContain('etcd-prod.sops.yaml');
  });
});

describe('a Git repository', () => {
  function commit(folder: string): void {
    const git = (...args: string[]) => execFileSync('git', args, { cwd: folder, stdio: 'pipe' });
    git('init', '--quiet', '--initial-branch=main');
    git('add', '--all');
    git('-c', 'user.name=T', '-c', 'user.email=t@example', 'commit', '--quiet', '--message=m');
  }

  test('that does not exist', async () => {
    await expectFailure(
      ['plan', '--repo', fleet.folder.join('nowhere')],
      { code: 'git-failed', says: ['nowhere', 'there is no Git repository'], hint: 'check the address' },
      { env: fleet.env },
    );
    const token = plant(freshSecret());
    await expectFailure(
      ['plan', '--repo', `http://me:${token}@127.0.0.1:1/fleet.git`],
      { code: 'git-failed', says: ['127.0.0.1:1/fleet.git', 'cannot be reached'], hint: 'check the address' },
      { env: fleet.env },
    );
  });

  test('without the ref', async () => {
    commit(fleet.config);
    await expectFailure(
      ['plan', '--repo', fleet.config, '--ref', 'mian'],
      { code: 'git-ref-not-found', says: ['`mian`'], hint: '`main`' },
      { env: fleet.env },
    );
    await expectFailure(
      ['plan', '--repo', fleet.config, '--ref', 'no such..ref'],
      { code: 'usage', says: ['no such..ref'], hint: '--ref' },
      { env: fleet.env },
    );
  });

  test('without a configuration', async () => {
    const empty = fleet.folder.join('empty');
    mkdirSync(empty);
    writeFileSync(`${empty}/README.md`, 'nothing\n');
    commit(empty);
    await expectFailure(
      ['plan', '--repo', empty],
      { code: 'config-not-found', says: ['no *.yaml or *.yml file'], hint: '--ref' },
      { env: fleet.env },
    );
  });
});
