/** Files that only the \`sops\` program opens: by a real PGP key, and by an age plugin. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type GranaryError, isGranaryError } from '../../src/model/errors.ts';
import { lintCredentialFile, openCredentialFile } from '../../src/secrets/credential-file.ts';
import { type Identities, loadIdentities } from '../../src/secrets/identities.ts';
import { describeWith } from '../servers/describe.ts';
import { tempFolder } from '../servers/temp.ts';
import { requireTool } from '../servers/tools.ts';
import { GpgHome } from './gpg-home.ts';
import { identitiesOf, type KeyPair, keyPair, plainCredential, plainValues } from './sops-tool.ts';
import { installToyPlugin } from './toy-plugin.ts';

const path = 'credentials/eu.sops.yaml';

describeWith(['sops', 'gpg'], 'files that only the sops program opens', () => {
  const folder = tempFolder('program');
  const bin = folder.join('bin');
  let gpg: GpgHome;
  let alice: KeyPair;
  let eve: KeyPair;
  let nobody: Identities;
  /** For PGP alone. */
  let text: string;

  beforeAll(async () => {
    gpg = new GpgHome();
    mkdirSync(bin);
    symlinkSync(requireTool('sops'), folder.join('bin/sops'));
    [alice, eve] = await Promise.all([keyPair(), keyPair()]);
    nobody = await loadIdentities({ files: [], env: {} });
    text = encrypt('--pgp', gpg.fingerprint);
  });
  afterAll(() => {
    gpg[Symbol.dispose]();
    folder.remove();
  });

  function encrypt(...args: string[]): string {
    const plain = folder.join('plain.yaml');
    writeFileSync(plain, plainCredential);
    return execFileSync(requireTool('sops'), ['encrypt', '--encrypted-regex', '^data$', ...args, plain], {
      env: { ...withSops(), HOME: folder.path, SOPS_DISABLE_VERSION_CHECK: '1' },
      encoding: 'utf8',
      stdio: 'pipe',
    });
  }

  /** The surroundings of a user who has gpg, and \`sops\` on the PATH. */
  function withSops(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
    return { ...gpg.env, PATH: `${bin}:${gpg.env.PATH}`, ...more };
  }

  async function open(content: string, env = withSops(), identities = nobody, signal?: AbortSignal) {
    const options = { file: path, text: content, identities, env, signal };
    const { values } = await openCredentialFile(options);
    return new Map([...values].map(([key, secret]) => [key, secret.reveal()]));
  }

  async function failure(attempt: Promise<unknown>): Promise<GranaryError> {
    const error = await attempt.then(
      () => new Error('opened'),
      (thrown: unknown) => thrown,
    );
    if (!isGranaryError(error)) throw error;
    const shown = inspect(error, { depth: 9 }) + JSON.stringify(error) + error.hint;
    for (const secret of plainValues.values()) expect(shown).not.toContain(secret);
    return error;
  }

  /** A program in place of sops. */
  function inPlaceOfSops(name: string, script: string): NodeJS.ProcessEnv {
    const dir = folder.join(name);
    mkdirSync(dir);
    writeFileSync(`${dir}/sops`, script);
    chmodSync(`${dir}/sops`, 0o755);
    return { ...gpg.env, PATH: `${dir}:${gpg.env.PATH}` };
  }

  test('PGP: gives what went in; linted as far as possible without a key', async () => {
    expect(await open(text)).toEqual(plainValues);
    const recipients = [`pgp ${gpg.fingerprint}`];
    expect(lintCredentialFile({ file: path, text, recipients })).toEqual([]);
    expect(lintCredentialFile({ file: path, text, recipients: [alice.recipient] })).toHaveLength(2);
    const bad: [string, string, string][] = [
      ['pgp: {}', text.replace(/pgp:\n[\s\S]*?\n {4}version/, 'pgp: {}\n    version'), 'sops-metadata'],
      ['a field', text.replace('fp:', 'note: x\n          fp:'), 'sops-metadata'],
      ['no fp', text.replace(/ +fp: .*\n/, ''), 'sops-metadata'],
      ['plain text', text.replace(/accessKeyId: ENC\[.*\]/, 'accessKeyId: AKIA'), 'plain-secret'],
      [
        'mac_only',
        text.replace('    lastmod', '    mac_only_encrypted: true\n    lastmod'),
        'sops-unsupported',
      ],
      ['groups', text.replace('    lastmod', '    shamir_threshold: 2\n    lastmod'), 'sops-unsupported'],
      ['junk', text.replace('type:str]', 'type:str]x'), 'sops-value'],
      ['an int', text.replace('type:str]', 'type:int]'), 'sops-value'],
      ['a regex', text.replace('^data$', '^(data)$'), 'sops-unsupported'],
    ];
    for (const [name, odd, code] of bad) {
      expect(odd, name).not.toBe(text);
      const codes = lintCredentialFile({ file: path, text: odd, recipients: null }).map((one) => one.code);
      expect([name, codes]).toEqual([name, expect.arrayContaining([code])]);
      expect([name, (await failure(open(odd))).code]).toEqual([name, 'sops-invalid']);
    }
  });

  test('each kind of key is named as the rule names it, and an entry has no field that sops does not write', () => {
    const entry = (fields: string) => `        - ${fields}, created_at: "2026-11-26T10:00:00Z", enc: x}\n`;
    const kinds: [string, string, string][] = [
      [
        'kms',
        '{arn: "arn:aws:kms:eu:1:key/a", aws_profile: "", context: {a: b}',
        'kms arn:aws:kms:eu:1:key/a',
      ],
      ['gcp_kms', '{resource_id: projects/p', 'gcp_kms projects/p'],
      [
        'azure_kv',
        '{vault_url: "https://v.example", name: k, version: "1"',
        'azure_kv https://v.example/keys/k',
      ],
      [
        'hc_vault',
        '{vault_address: "https://v:8200", engine_path: transit, key_name: k',
        'hc_vault https://v:8200/v1/transit/keys/k',
      ],
      ['hckms', '{key_id: "eu:1"', 'hckms eu:1'],
    ];
    for (const [kind, fields, recipient] of kinds) {
      const add = (entries: string) =>
        text.replace('\n    lastmodified', `\n    ${kind}:\n${entries}    lastmodified`);
      const lint = (odd: string, recipients: readonly string[] | null) =>
        lintCredentialFile({ file: path, text: odd, recipients }).map((one) => one.message);
      const pgp = `pgp ${gpg.fingerprint}`;
      expect(lint(add(entry(fields)), [recipient, pgp])).toEqual([]);
      expect(lint(add(entry(fields)), [pgp])).toHaveLength(1);
      expect(lint(add(entry(fields).repeat(2)), null)).toEqual([expect.stringContaining('twice')]);
      expect(lint(add(entry(`${fields}, command: x`)), null)).toEqual([
        expect.stringContaining('other fields'),
      ]);
      expect(lint(add(entry(fields).replace('enc: x', 'enc: ""')), null)).toHaveLength(1);
    }
  });

  test('what sops refuses is refused', async () => {
    const [id, secret] = [...text.matchAll(/: (ENC\[[^\]]*type:str\])/g)].map(([, value]) => value ?? '');
    const cases: Record<string, string> = {
      'a changed plain value': text.replace('eu-minio-key', 'eu-minio-kez'),
      'swapped values': text
        .replace(id ?? '', '@')
        .replace(secret ?? '', id ?? '')
        .replace('@', secret ?? ''),
      'a dropped value': text.replace(/ +accessKeyId: .*\n/, ''),
      'a changed lastmodified': text.replace(/lastmodified: "\d{4}/, 'lastmodified: "2031'),
    };
    for (const [name, tampered] of Object.entries(cases)) {
      expect(tampered, name).not.toBe(text);
      expect([name, (await failure(open(tampered))).code]).toEqual([name, 'sops-tampered']);
    }
  });

  test('an age key opens by itself, without the program; only another asks it', async () => {
    const both = encrypt('--pgp', gpg.fingerprint, '--age', alice.recipient);
    const none = { ...gpg.env, PATH: '/nowhere' };
    expect(await open(both, none, await identitiesOf(alice))).toEqual(plainValues);
    expect(await open(both, withSops(), await identitiesOf(eve))).toEqual(plainValues);
    const error = await failure(open(both, none, await identitiesOf(eve)));
    expect(error.code).toBe('sops-program-missing');
    for (const who of [alice.recipient, eve.recipient, gpg.fingerprint]) expect(error.message).toContain(who);
    expect(error.message).toContain('the program `sops`');
    const recipients = [alice.recipient, `pgp ${gpg.fingerprint}`];
    expect(lintCredentialFile({ file: path, text: both, recipients })).toEqual([]);
  });

  test('no program, a program that fails, one that lies, one that hangs', async () => {
    const missing = await failure(open(text, { PATH: '.:relative:/nowhere' }));
    expect(missing).toMatchObject({ code: 'sops-program-missing', context: { program: 'sops' } });
    const noKey = await failure(open(text, withSops({ GNUPGHOME: folder.path })));
    expect(noKey.code).toBe('sops-program-failed');
    expect(noKey.message).toContain(`pgp ${gpg.fingerprint}`);
    const noisy = inPlaceOfSops('noisy', '#!/bin/sh\necho "the key is wJalrXUtnFEMI" >&2\nexit 7\n');
    const failed = await failure(open(text, noisy));
    expect(failed).toMatchObject({ code: 'sops-program-failed', context: { exit: 7 } });
    expect(inspect(failed, { depth: 9 })).not.toContain('wJalr');
    for (const [index, said] of [
      '{"data":{"accessKeyId":"x"}}',
      '{}',
      'null',
      'wJalr',
      '[1]',
      '',
    ].entries()) {
      const lying = inPlaceOfSops(`lying-${index}`, `#!/bin/sh\ncat > /dev/null\nprintf '%s' '${said}'\n`);
      const error = await failure(open(text, lying));
      expect(error.code).toBe('sops-invalid');
      expect(inspect(error, { depth: 9 })).not.toContain('wJalr');
    }
    const hanging = inPlaceOfSops('hanging', '#!/bin/sh\nexec sleep 100\n');
    const abort = new AbortController();
    const waiting = open(text, hanging, nobody, abort.signal);
    setTimeout(() => abort.abort(), 200);
    const began = performance.now();
    await expect(waiting).rejects.toThrow();
    expect(performance.now() - began).toBeLessThan(60_000);
    const endless = inPlaceOfSops('endless', '#!/bin/sh\nexec cat /dev/zero\n');
    expect((await failure(open(text, endless))).message).toContain('more than a credential can hold');
  });

  test('the program sees only what clients of key services need, and only the keys that are its business', async () => {
    const both = encrypt('--pgp', gpg.fingerprint, '--age', alice.recipient);
    const seen = folder.join('seen');
    const env = inPlaceOfSops(
      'seeing',
      `#!/bin/sh\nenv > ${seen}.env\necho "$@" > ${seen}.args\ncat > ${seen}.in\nexit 1\n`,
    );
    const secrets = { AWS_ACCESS_KEY_ID: 'a', VAULT_TOKEN: 'v', HOME: folder.path, AZURE_TENANT_ID: 't' };
    const others = {
      SOPS_AGE_KEY: alice.identity,
      SOPS_AGE_KEY_CMD: 'touch x',
      LD_PRELOAD: '',
      GITHUB_TOKEN: 'g',
    };
    await failure(open(both, { ...env, ...secrets, ...others, GOOGLE_APPLICATION_CREDENTIALS: '/g' }));
    const names = readFileSync(`${seen}.env`, 'utf8')
      .split('\n')
      .map((one) => one.split('=')[0] ?? '');
    const expected = [...Object.keys(secrets), 'GOOGLE_APPLICATION_CREDENTIALS', 'GNUPGHOME', 'PATH'];
    // A shell sets these itself.
    expect(names.filter((name) => !['', 'PWD', 'SHLVL', '_', 'OLDPWD'].includes(name)).toSorted()).toEqual(
      expected.toSorted(),
    );
    expect(readFileSync(`${seen}.args`, 'utf8')).toBe('decrypt --input-type yaml --output-type json\n');
    const given = readFileSync(`${seen}.in`, 'utf8');
    expect(given).toContain(gpg.fingerprint);
    // With an age recipient in it, sops would search ~/.ssh.
    expect(given).not.toContain(alice.recipient);
  });

  test('an age plugin, with its key from a named file', async () => {
    using home = tempFolder('plugin');
    const toy = installToyPlugin(home);
    const env = withSops({ PATH: `${home.path}:${bin}:/usr/bin:/bin` });
    const plain = folder.join('plain.yaml');
    writeFileSync(plain, plainCredential);
    const made = execFileSync(
      requireTool('sops'),
      ['encrypt', '--encrypted-regex', '^data$', '--age', `${toy.recipient},${alice.recipient}`, plain],
      { env: { ...env, HOME: home.path, SOPS_DISABLE_VERSION_CHECK: '1' }, encoding: 'utf8', stdio: 'pipe' },
    );
    writeFileSync(home.join('key.txt'), `# of the plugin\n${toy.identity}\n`, { mode: 0o600 });
    const identities = await loadIdentities({ files: [home.join('key.txt')], env: {} });
    expect(identities.plugins).toHaveLength(1);
    expect(await open(made, env, identities)).toEqual(plainValues);
    const recipients = [alice.recipient, toy.recipient];
    expect(lintCredentialFile({ file: path, text: made, recipients })).toEqual([]);
    expect((await failure(open(made, env, nobody))).code).toBe('age-key-missing');
    expect((await failure(open(made, withSops(), identities))).code).toBe('sops-program-failed');
    expect((await failure(open(made, { PATH: '/nowhere' }, identities))).message).toContain('an age plugin');
    expect(await open(made, { PATH: '/nowhere' }, await identitiesOf(alice))).toEqual(plainValues);
  });
});
