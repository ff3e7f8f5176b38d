/** `granary secrets`, on files that the real sops wrote. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { expect, test } from 'vitest';
import { describeWith } from '../servers/describe.ts';
import { requireTool } from '../servers/tools.ts';
import { Fleet, freshSecret } from './fleet.ts';
import { errorOf, expectNoSecret, filesIn, granary, type Ran, start } from './granary.ts';

interface Verified {
  readonly items: readonly {
    readonly file: string;
    readonly verdict: string;
    readonly code: string | null;
    readonly message: string;
  }[];
}
interface Linted {
  readonly valid: boolean;
  readonly diagnostics: readonly {
    readonly code: string;
    readonly severity: string;
    readonly file: string;
  }[];
}

const file = 'key.sops.yaml';

async function sealed(): Promise<Fleet> {
  const fleet = await Fleet.make({ endpoints: ['http://127.0.0.1:9'] });
  fleet.seal('key', 's3', { accessKeyId: 'AKIAEXAMPLE1234', secretAccessKey: freshSecret() });
  return fleet;
}

async function lint(fleet: Fleet, ...files: string[]): Promise<{ ran: Ran; linted: Linted }> {
  const ran = await granary(['secrets', 'lint', ...files, '-o', 'json'], { cwd: fleet.config });
  return { ran, linted: JSON.parse(ran.stdout) as Linted };
}

async function verify(fleet: Fleet, ...files: string[]): Promise<{ ran: Ran; items: Verified['items'] }> {
  const args = ['secrets', 'verify', ...files, '--age-key-file', fleet.keyFile, '-o', 'json'];
  const ran = await granary(args, { cwd: fleet.config });
  return { ran, items: (JSON.parse(ran.stdout) as Verified).items };
}

/** Codes that lint gives, and the code of verify; both must refuse, or both accept. */
async function judged(fleet: Fleet, name = file): Promise<{ lint: string[]; verify: string | null }> {
  const [{ ran: linting, linted }, { ran: verifying, items }] = [
    await lint(fleet, name),
    await verify(fleet, name),
  ];
  expect(linting.code).toBe(linted.valid ? 0 : 1);
  expect(verifying.code).toBe(items.every(({ verdict }) => verdict === 'accept') ? 0 : 1);
  const errors = linted.diagnostics.filter(({ severity }) => severity === 'error');
  return { lint: errors.map(({ code }) => code), verify: items[0]?.code ?? null };
}

describeWith(['sops', 'ssh'], 'granary secrets', () => {
  test('a file that is as sops wrote it', async () => {
    using fleet = await sealed();
    expect(await judged(fleet)).toEqual({ lint: [], verify: null });
    const text = await granary(['secrets', 'verify', file, '--age-key-file', fleet.keyFile], {
      cwd: fleet.config,
    });
    expect(text.stdout).toBe(`accept  ${file}  2 values, authentic\n`);
    const linted = await granary(['secrets', 'lint', file], { cwd: fleet.config });
    expect(linted.stdout).toBe('No errors, no warnings in 1 file. Nothing was contacted.\n');
  });

  test('a changed plain part: only the key tells', async () => {
    using fleet = await sealed();
    fleet.writeText(
      file,
      fleet.read(file).replace(/type: s3/, 'type: s3\n    displayName: of somebody else'),
    );
    expect(await judged(fleet)).toEqual({ lint: [], verify: 'sops-tampered' });
  });

  test('values changed for one another', async () => {
    using fleet = await sealed();
    const [id, secret] = [...fleet.read(file).matchAll(/ENC\[[^\]]*type:str\]/g)].map(([value]) => value);
    if (id === undefined || secret === undefined) throw new Error('no two values');
    const swapped = fleet.read(file).replace(id, 'x').replace(secret, id).replace('x', secret);
    fleet.writeText(file, swapped);
    expect((await judged(fleet)).verify).toBe('sops-tampered');
  });

  test('the schema of a Credential is the business of validate: warnings here, errors there', async () => {
    using fleet = await sealed();
    const env = { HOME: fleet.folder.path, PATH: '/nowhere', SOPS_AGE_KEY: fleet.identity };
    const at = { cwd: fleet.config, env, stdio: 'pipe' } as const;
    const plain = execFileSync(requireTool('sops'), ['decrypt', file], { ...at, encoding: 'utf8' });
    fleet.writeText(file, plain.replace('type: s3', 'type: s3\n    tpye: s3\n    more: 017\n    seeds: []'));
    execFileSync(requireTool('sops'), ['encrypt', '--in-place', file], at);
    expect(await judged(fleet)).toEqual({ lint: [], verify: null });
    const { linted } = await lint(fleet, file);
    expect(linted.diagnostics.map(({ code }) => code)).toContain('unknown-field');
    expect(linted.diagnostics.every(({ severity }) => severity === 'warning')).toBe(true);
    const validated = await granary(['validate', ...fleet.source, '-o', 'json']);
    expect(JSON.parse(validated.stdout)).toMatchObject({ valid: false });
  });

  test('any SOPS file: not ours, with numbers and dates', async () => {
    using fleet = await sealed();
    const text = 'kind: Secret\nports: [017, 1.5, 2024-01-02]\nempty: ~\ndata:\n  token: x\n';
    fleet.writeText('other.sops.yaml', text);
    execFileSync(requireTool('sops'), ['encrypt', '--in-place', 'other.sops.yaml'], {
      cwd: fleet.config,
      env: { HOME: fleet.folder.path, PATH: '/nowhere' },
      stdio: 'pipe',
    });
    expect(await judged(fleet, 'other.sops.yaml')).toEqual({ lint: [], verify: null });
    expect((await lint(fleet, 'other.sops.yaml')).linted.diagnostics).toEqual([]);
    const changed = fleet.read('other.sops.yaml').replace('1.5', '1.6');
    fleet.writeText('other.sops.yaml', changed);
    expect(await judged(fleet, 'other.sops.yaml')).toEqual({ lint: [], verify: 'sops-tampered' });
  });

  test('an older version put back: told by verify, a command and the agent that know the state', async () => {
    using fleet = await sealed();
    const state = fleet.folder.join('state');
    const older = fleet.read(file);
    // lastmodified has whole seconds.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const destination = {
      provider: 's3',
      bucket: 'fleet',
      endpoint: 'http://127.0.0.1:9',
      credential: 'key',
    };
    fleet.write('Destination', 'store', { ...destination, region: 'x', forcePathStyle: true });
    fleet.writePolicy('hourly', { destinations: ['store'] });
    const secret = freshSecret();
    fleet.seal('key', 's3', { accessKeyId: 'AKIAEXAMPLE1234', secretAccessKey: secret });
    const newer = fleet.read(file);
    const args = ['agent', ...fleet.opened, '--state', state, '--listen', '127.0.0.1:0', '--interval', '1s'];
    const agent = start(args, { env: fleet.env });
    await agent.seen(/configuration in use/);
    expect(readFileSync(`${state}/credentials.json`, 'utf8')).toContain('"key": "20');
    fleet.writeText(file, older);
    await agent.seen(/"credential":"key","error":\{"code":"sops-replayed"/);
    agent.kill('SIGTERM');
    await agent.ended;
    const verifying = ['secrets', 'verify', file, '--age-key-file', fleet.keyFile, '-o', 'json'];
    const known = await granary([...verifying, '--state', state], { cwd: fleet.config });
    expect((JSON.parse(known.stdout) as Verified).items[0]).toMatchObject({
      verdict: 'reject',
      code: 'sops-replayed',
    });
    // Without a state nothing is remembered.
    expect((await verify(fleet, file)).items[0]?.verdict).toBe('accept');
    const checked = await granary(['check', 'store', ...fleet.opened, '--state', state], { env: fleet.env });
    expect(checked.stdout).toContain('an older version was put back');
    // Of another recipient: `updatekeys` leaves the moment as it is.
    fleet.writeText(file, newer);
    expect((await granary([...verifying, '--state', state], { cwd: fleet.config })).stdout).toContain(
      '"verdict": "accept"',
    );
    for (const name of filesIn(state)) expectNoSecret(readFileSync(`${state}/${name}`, 'latin1'), name);
  });

  test('an SSH key that is named, and a file for PGP without sops on the PATH', async () => {
    using fleet = await sealed();
    const key = fleet.folder.join('id');
    execFileSync(requireTool('ssh', 'ssh-keygen'), [
      '-q',
      '-t',
      'ed25519',
      '-N',
      '',
      '-C',
      'a comment',
      '-f',
      key,
    ]);
    const recipient = readFileSync(`${key}.pub`, 'utf8').trim();
    fleet.writeText('.sops.yaml', fleet.read('.sops.yaml').replace(/age: .*/, `age: "${recipient}"`));
    const env = { HOME: fleet.folder.path, PATH: '/nowhere', SOPS_AGE_KEY: fleet.identity };
    execFileSync(requireTool('sops'), ['updatekeys', '-y', file], { cwd: fleet.config, env, stdio: 'pipe' });
    const ran = await granary(['secrets', 'verify', file, '--age-key-file', key], { cwd: fleet.config });
    expect(ran.stdout).toBe(`accept  ${file}  2 values, authentic\n`);
    const wrong = await verify(fleet, file);
    expect(wrong.items[0]).toMatchObject({ code: 'age-key-wrong' });
    expect(wrong.items[0]?.message).toContain(recipient.split(' ', 2).join(' '));

    const pgp = fleet
      .read(file)
      .replace(
        /\n {4}age:\n[\s\S]*?\n {4}encrypted_regex/,
        '\n    pgp:\n        - created_at: "2026-11-26T10:00:00Z"\n          enc: x\n          fp: 0123456789ABCDEF0123456789ABCDEF01234567\n    encrypted_regex',
      );
    fleet.writeText(file, pgp);
    const none = await granary(['secrets', 'verify', file, '--age-key-file', key, '-o', 'json'], {
      cwd: fleet.config,
      env: { PATH: '/nowhere' },
    });
    expect((JSON.parse(none.stdout) as Verified).items[0]).toMatchObject({ code: 'sops-program-missing' });
  });

  test('a value in plain text, which is not shown', async () => {
    using fleet = await sealed();
    fleet.writeText(
      file,
      fleet.read(file).replace(/accessKeyId: ENC\[.*\]/, 'accessKeyId: in-the-open-4711'),
    );
    expect(await judged(fleet)).toEqual({ lint: ['plain-secret'], verify: 'sops-invalid' });
    const { ran } = await lint(fleet, file);
    expect(ran.stdout).not.toContain('4711');
  });

  test('a recipient whom the rule does not name', async () => {
    using fleet = await sealed();
    const planted = await identityToRecipient(await generateX25519Identity());
    execFileSync(requireTool('sops'), ['rotate', '-i', '--add-age', planted, file], {
      cwd: fleet.config,
      env: {
        HOME: fleet.folder.path,
        PATH: '/nowhere',
        SOPS_AGE_KEY: fleet.identity,
        SOPS_DISABLE_VERSION_CHECK: '1',
      },
      stdio: 'pipe',
    });
    expect(await judged(fleet)).toEqual({
      lint: ['sops-recipients-differ'],
      verify: 'sops-recipients-differ',
    });
  });

  test('a rule that encrypts nothing', async () => {
    using fleet = await sealed();
    fleet.writeText('.sops.yaml', fleet.read('.sops.yaml').replace('^data$', '^nothing$'));
    expect((await judged(fleet)).lint).toEqual(['sops-rule']);
  });

  test('no rule at all is a warning, as recipients cannot be compared', async () => {
    using fleet = await sealed();
    fleet.remove('.sops.yaml');
    const { linted } = await lint(fleet, file);
    expect(linted).toMatchObject({ valid: true, diagnostics: [{ code: 'sops-rule', severity: 'warning' }] });
  });

  test('the rules of another folder, named with --path', async () => {
    using fleet = await sealed();
    const planted = fleet.read('.sops.yaml').replace('^data$', '^nothing$');
    fleet.writeText('.sops.yaml', planted);
    const ran = await granary(['secrets', 'lint', `config/${file}`, '--path', 'config', '-o', 'json'], {
      cwd: fleet.folder.path,
    });
    expect((JSON.parse(ran.stdout) as Linted).diagnostics.map(({ code }) => code)).toEqual(['sops-rule']);
  });

  test('what cannot be read is rejected, and the others are told all the same', async () => {
    using fleet = await sealed();
    mkdirSync(fleet.folder.join('config/folder.sops.yaml'));
    writeFileSync(fleet.folder.join('config/latin.sops.yaml'), Buffer.from('kind: \xff\n', 'latin1'));
    writeFileSync(fleet.folder.join('config/plain.sops.yaml'), 'kind: Credential\n');
    const names = ['gone.sops.yaml', 'folder.sops.yaml', 'latin.sops.yaml', 'plain.sops.yaml', file];
    const { ran, items } = await verify(fleet, ...names);
    expect(items.map(({ code }) => code)).toEqual([
      'file-unreadable',
      'file-unreadable',
      'file-not-utf8',
      'sops-invalid',
      null,
    ]);
    expect(items.map((item) => item.file)).toEqual(names);
    expect(ran.code).toBe(1);
    expect((await lint(fleet, ...names)).linted.valid).toBe(false);
  });

  test('without a private key, and with a wrong one', async () => {
    using fleet = await sealed();
    const none = await granary(['secrets', 'verify', file, '-o', 'json'], { cwd: fleet.config });
    expect((JSON.parse(none.stdout) as Verified).items[0]).toMatchObject({
      verdict: 'reject',
      code: 'age-key-missing',
    });
    const other = await granary(['secrets', 'verify', file, '-o', 'json'], {
      cwd: fleet.config,
      env: { SOPS_AGE_KEY: await generateX25519Identity() },
    });
    expect((JSON.parse(other.stdout) as Verified).items[0]?.code).toBe('age-key-wrong');
  });

  test('no file, and no subcommand', async () => {
    const ran = await granary(['secrets', 'lint', '-o', 'json']);
    expect(errorOf(ran)).toMatchObject({ code: 'usage' });
    expect(ran.code).toBe(1);
    const bare = await granary(['secrets']);
    expect(bare.code).toBe(1);
    expect(bare.stderr).toContain('hint: there are `granary secrets lint`, `granary secrets verify`');
  });
});
