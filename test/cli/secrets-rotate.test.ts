/** `granary secrets rotate` and `recipients`, against a real etcd and a real MinIO, on files of the real sops. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import { requireTool } from '../servers/tools.ts';
import { Fleet, freshSecret } from './fleet.ts';
import { errorOf, expectNoSecret, filesIn, granary, plant, type Ran, start } from './granary.ts';

interface Report {
  readonly credential: string;
  readonly file: string;
  readonly changed: readonly string[];
  readonly usedBy: Readonly<Record<string, unknown>>;
  readonly checks: readonly { readonly name: string; readonly steps: readonly { verdict: string }[] }[];
  readonly outcome: string;
  readonly next: readonly string[];
}

const file = 'etcd-prod.sops.yaml';

describeWith(['etcd-3.6', 'minio', 'sops'], 'granary secrets rotate', () => {
  const password = plant(freshSecret());
  const newPassword = plant(freshSecret());
  let etcd: EtcdServer;
  let minio: MinioServer;
  let fleet: Fleet;

  beforeAll(async () => {
    [etcd, minio] = await Promise.all([startEtcd({ version: '3.6', auth: { password } }), startMinio()]);
    plant(minio.secretAccessKey);
    await minio.createBucket('rotate');
    await etcd.etcdctl('user', 'add', `backup:${newPassword}`);
    await etcd.etcdctl('user', 'grant-role', 'backup', 'root');
  });
  afterAll(() => Promise.all([etcd.stop(), minio.stop()]));

  beforeEach(async () => {
    const cluster = { auth: { credential: 'etcd-prod' } };
    const policy = { destinations: ['minio', 'local'] };
    fleet = await Fleet.make({ endpoints: etcd.endpoints, cluster, policy });
    fleet.write('Destination', 'minio', {
      provider: 's3',
      bucket: 'rotate',
      endpoint: minio.endpoint,
      region: minio.region,
      forcePathStyle: true,
      credential: 'minio-key',
    });
    fleet.seal('minio-key', 's3', {
      accessKeyId: minio.accessKeyId,
      secretAccessKey: 'that-was-mistyped-once-4711',
    });
    fleet.seal('etcd-prod', 'etcd', { username: 'root', password });
  });
  afterEach(() => {
    expect(fleet.leftInTemp()).toEqual([]);
    const strange = readdirSync(fleet.config).filter((name) => name.startsWith('.') && name !== '.sops.yaml');
    expect(strange).toEqual([]);
    fleet[Symbol.dispose]();
  });

  function given(name: string, content: string): string {
    const path = fleet.folder.join(name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  }

  const rotate = (...words: string[]): Promise<Ran> =>
    granary(['secrets', 'rotate', ...words, ...fleet.opened], { env: fleet.env });

  async function rotated(...words: string[]): Promise<{ ran: Ran; report: Report }> {
    const ran = await rotate(...words, '-o', 'json');
    if (ran.stdout === '') throw new Error(ran.stderr);
    return { ran, report: JSON.parse(ran.stdout) as Report };
  }

  /** What the real sops finds in a file. */
  function opened(name: string): Record<string, string> {
    const env = { HOME: fleet.folder.path, PATH: '/nowhere', SOPS_AGE_KEY: fleet.identity };
    const args = ['decrypt', '--output-type', 'json', name];
    const json = execFileSync(requireTool('sops'), args, { cwd: fleet.config, env, encoding: 'utf8' });
    return (JSON.parse(json) as { data: Record<string, string> }).data;
  }

  test('tries first, writes with --yes, in one step and for sops to read', async () => {
    const before = fleet.read(file);
    const data = given('new.yaml', `username: backup\npassword: "${newPassword}"\n`);
    const dry = await rotated('etcd-prod', '--data-file', data);
    expect(dry.report).toMatchObject({
      credential: 'etcd-prod',
      file,
      changed: ['username', 'password'],
      usedBy: { destinations: [], clusters: ['eu/prod'], seeds: ['eu'], policies: ['hourly'] },
      outcome: 'dry-run',
    });
    expect(dry.report.checks.map(({ name }) => name)).toEqual(['eu/prod']);
    expect(dry.ran.code).toBe(0);
    expect(fleet.read(file)).toBe(before);

    const state = fleet.folder.join('state');
    const done = await rotated(
      fleet.folder.join('config', file),
      '--data-file',
      data,
      '--yes',
      '--state',
      state,
    );
    expect(done.report).toMatchObject({ outcome: 'written', changed: ['username', 'password'] });
    expect(done.report.next[0]).toContain(`-- ${file}`);
    expect(done.report.next.join('\n')).toMatch(/agents of eu[\s\S]*delete the old key/);
    expect(opened(file)).toEqual({ username: 'backup', password: newPassword });
    const verified = await granary(['secrets', 'verify', file, '--age-key-file', fleet.keyFile], {
      cwd: fleet.config,
    });
    expect(verified).toMatchObject({ code: 0 });
    expect(JSON.parse(readFileSync(`${state}/credentials.json`, 'utf8'))).toMatchObject({
      lastModified: { 'etcd-prod': expect.any(String) },
    });
    // The version before is refused from now on by whoever has this state.
    fleet.writeText(file, before);
    const replayed = await granary(['check', 'eu/prod', ...fleet.opened, '--state', state, '-o', 'json'], {
      env: fleet.env,
    });
    expect(replayed.code).toBe(1);
    expect(replayed.stdout).toContain('an older version was put back');
  });

  test('values that do not work are not written', async () => {
    const before = fleet.read(file);
    const wrong = given('wrong.txt', `${plant(freshSecret())}\n`);
    const { ran, report } = await rotated('etcd-prod', '--set-from', `password=${wrong}`, '--yes');
    expect(ran.code).toBe(1);
    expect(report).toMatchObject({ outcome: 'refused', changed: ['password'] });
    expect(fleet.read(file)).toBe(before);
    const text = await rotate('etcd-prod', '--set-from', `password=${wrong}`, '--yes');
    expect(text.stdout).toContain('Nothing was written: the new values do not work everywhere.');
  });

  test('a broken key of a store is mended; the others stay byte for byte', async () => {
    const before = fleet.read('minio-key.sops.yaml');
    const secret = given('secret.txt', `${minio.secretAccessKey}\n`);
    const text = await rotate('minio-key', '--set-from', `secretAccessKey=${secret}`, '--yes');
    expect(text.stderr).toBe('');
    expect(text.code).toBe(0);
    expect(text.stdout).toMatch(/^credential minio-key \(minio-key\.sops\.yaml\), new: secretAccessKey$/m);
    expect(text.stdout).toMatch(/^used by {4}destination minio$/m);
    expect(text.stdout).toMatch(/^reaches {4}seed eu; policy hourly$/m);
    expect(text.stdout).toContain('The new values work at minio. minio-key.sops.yaml holds them now.');
    expect(opened('minio-key.sops.yaml')).toEqual({
      accessKeyId: minio.accessKeyId,
      secretAccessKey: minio.secretAccessKey,
    });
    const changed = fleet
      .read('minio-key.sops.yaml')
      .split('\n')
      .filter((line, index) => line !== before.split('\n')[index])
      .map((line) => line.trim().split(':')[0]);
    expect(changed).toEqual(['secretAccessKey', 'lastmodified', 'mac']);
  });

  test('from stdin, and a further name', async () => {
    const input = JSON.stringify({ secretAccessKey: minio.secretAccessKey });
    const ran = await granary(
      ['secrets', 'rotate', 'minio-key', '--data-file', '-', ...fleet.opened, '--yes', '-o', 'json'],
      { env: fleet.env, input },
    );
    expect((JSON.parse(ran.stdout) as Report).outcome).toBe('written');
    // MinIO knows no session of its root user, so this is refused, but only after the file was made.
    const token = given('token', plant(freshSecret()));
    const { report } = await rotated('minio-key', '--set-from', `sessionToken=${token}`);
    expect(report).toMatchObject({ outcome: 'refused', changed: ['sessionToken'] });
  });

  test('Ctrl-C while it is tried leaves the file as it was', async () => {
    const before = fleet.read(file);
    fleet.write('Seed', 'eu', {
      // Nobody answers there.
      clusters: [
        { name: 'prod', endpoints: ['http://10.255.255.1:2379'], auth: { credential: 'etcd-prod' } },
      ],
    });
    const data = given('new.yaml', `username: backup\npassword: "${newPassword}"\n`);
    const running = start(['secrets', 'rotate', 'etcd-prod', '--data-file', data, '--yes', ...fleet.opened], {
      env: fleet.env,
    });
    await running.seen(/used by/);
    running.kill('SIGINT');
    expect((await running.ended).code).toBe(1);
    expect(fleet.read(file)).toBe(before);
  });

  test('a file that changed meanwhile, a wrong reader, a name that its type has not', async () => {
    const data = given('new.yaml', `username: backup\npassword: "${newPassword}"\n`);
    const nonsense = given('x.txt', 'x');
    const unknown = await rotate('etcd-prod', '--set-from', `passwort=${nonsense}`, '-o', 'json');
    expect(errorOf(unknown)).toMatchObject({
      code: 'config-invalid',
      message: expect.stringContaining('passwort'),
    });
    const other = await identityToRecipient(await generateX25519Identity());
    fleet.writeText('.sops.yaml', fleet.read('.sops.yaml').replace(fleet.recipient, other));
    const differs = await rotate('etcd-prod', '--data-file', data, '-o', 'json');
    expect(errorOf(differs).code).toBe('config-invalid');
    expect(errorOf(differs).message).toContain(fleet.recipient);
  });

  test('mistakes on the command line never repeat what may be a secret', async () => {
    const secret = plant(freshSecret());
    const cases: [string[], RegExp][] = [
      [['--set-from', `password=${secret}`], /file of `--set-from password=` cannot be read/],
      [['--set-from', `${secret}`], /lacks the file/],
      [['--set-from', `pass word ${secret}=x`], /only letters/],
      [['--data-file', secret], /cannot be read/],
      [[], /no new value is given/],
      [['--set-from', 'password=-', '--data-file', '-'], /no value|not valid|holds no/],
    ];
    for (const [words, message] of cases) {
      const ran = await rotate('etcd-prod', ...words, '-o', 'json');
      expect(errorOf(ran)).toMatchObject({ code: 'usage', message: expect.stringMatching(message) });
      expectNoSecret(ran.stdout + ran.stderr, words.join(' '));
    }
    const broken = given('broken.yaml', `password: "${secret}\n  x: [`);
    expect(errorOf(await rotate('etcd-prod', '--data-file', broken, '-o', 'json')).code).toBe('usage');
    const nested = given('nested.yaml', `password: [${secret}]\n`);
    expect(errorOf(await rotate('etcd-prod', '--data-file', nested, '-o', 'json')).code).toBe('usage');
    const same = given('same.txt', password);
    expect(
      errorOf(await rotate('etcd-prod', '--set-from', `password=${same}`, '-o', 'json')).message,
    ).toContain('has already');
    expect(errorOf(await rotate('nobody', '--set-from', `password=${same}`, '-o', 'json')).code).toBe(
      'unknown-object',
    );
  });

  test('recipients: who reads what, and where that differs from the rule', async () => {
    const run = (...words: string[]) => granary(['secrets', 'recipients', ...words], { cwd: fleet.config });
    const sound = await run();
    expect(sound.code).toBe(0);
    expect(sound.stdout).toContain('1 recipient, 2 files.');
    const other = await identityToRecipient(await generateX25519Identity());
    execFileSync(requireTool('sops'), ['rotate', '-i', '--add-age', other, file], {
      cwd: fleet.config,
      env: { HOME: fleet.folder.path, PATH: '/nowhere', SOPS_AGE_KEY: fleet.identity },
      stdio: 'pipe',
    });
    fleet.writeText('plain.sops.yaml', 'kind: Credential\n');
    const ran = await run('-o', 'json');
    expect(ran.code).toBe(1);
    const report = JSON.parse(ran.stdout) as { items: unknown[]; files: unknown[] };
    expect(report.items).toEqual([
      { recipient: fleet.recipient, files: [file, 'minio-key.sops.yaml'], unnamed: [], closed: [] },
      { recipient: other, files: [file], unnamed: [file], closed: [] },
    ]);
    expect(report.files).toMatchObject([
      { file, added: [other], missing: [], problem: null },
      { file: 'minio-key.sops.yaml', added: [], missing: [], problem: null },
      { file: 'plain.sops.yaml', recipients: null, problem: { code: 'sops-invalid' } },
    ]);
    const text = await run();
    expect(text.stdout).toContain(`can be read by ${other}, which .sops.yaml does not name`);
    expect(text.stdout).toMatch(
      /2 recipients, 3 files; 1 differs from \.sops\.yaml, 1 cannot be understood\./,
    );
    fleet.writeText('.sops.yaml', fleet.read('.sops.yaml').replace(fleet.recipient, other));
    const shut = await granary(['secrets', 'recipients', '--path', 'config', `config/minio-key.sops.yaml`], {
      cwd: fleet.folder.path,
    });
    expect(shut.stdout).toContain(`cannot be read by ${other}, which .sops.yaml names`);
    fleet.remove('.sops.yaml');
    expect((await run('minio-key.sops.yaml')).stdout).toContain('no rule of .sops.yaml');
    const empty = await granary(['secrets', 'recipients', '--path', fleet.temp, '-o', 'json']);
    expect(errorOf(empty).code).toBe('config-not-found');
    expect(filesIn(fleet.folder.join('local'))).toEqual([]);
  });
});
