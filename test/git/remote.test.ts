/** Private repositories over real SSH and real HTTPS: who is let in, who is trusted, and what is said where not. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { openSource, type Source } from '../../src/git/source.ts';
import { GranaryError } from '../../src/model/errors.ts';
import { granary, plant } from '../cli/granary.ts';
import { type Certificates, makeCertificates } from '../servers/certificates.ts';
import { describeWith } from '../servers/describe.ts';
import { type SshServer, startSshd } from '../servers/sshd.ts';
import { tempFolder } from '../servers/temp.ts';
import { requireTool } from '../servers/tools.ts';
import { gitOverHttp, type HttpServer, Repository, serve, withoutOwnSettings } from './repository-fixture.ts';

const signal = new AbortController().signal;

async function refusal(attempt: Promise<unknown>): Promise<GranaryError> {
  const error = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(GranaryError);
  return error as GranaryError;
}

describeWith(['git', 'ssh', 'sshd'], 'over SSH', () => {
  const folder = tempFolder('git-ssh');
  let server: SshServer;
  let origin: Repository;
  let commit: string;
  let count = 0;
  let workDir: string;

  beforeAll(async () => {
    server = await startSshd();
    origin = new Repository(folder.join('origin'));
    commit = origin.commit('First', { 'seeds/eu.yaml': 'one\n' });
  });
  beforeEach(() => {
    count++;
    workDir = folder.join(`work-${count}`);
    withoutOwnSettings(folder.path);
  });
  afterEach(() => vi.unstubAllEnvs());
  afterAll(async () => {
    await server.stop();
    folder.remove();
  });

  /** A command for ssh that knows this key and this server and nothing of the machine's. */
  const sshCommand = (key: string, known: string): string => {
    const knownHosts = folder.join(`known_hosts-${count}`);
    writeFileSync(knownHosts, known);
    return [
      'ssh -F none -oIdentitiesOnly=yes -oIdentityAgent=none -oGlobalKnownHostsFile=/dev/null',
      `-i ${key}`,
      `-oUserKnownHostsFile=${knownHosts}`,
    ].join(' ');
  };
  const address = () => `ssh://${server.user}@127.0.0.1:${server.port}${origin.folder}`;
  const open = (repo = address(), ref: string | null = 'main'): Promise<Source> =>
    openSource({ repo, ref, workDir }, { signal });

  test('the key that GIT_SSH_COMMAND names opens the repository, and each commit after', async () => {
    vi.stubEnv('GIT_SSH_COMMAND', sshCommand(server.userKey, server.knownHost));
    const source = await open();
    expect(source.commit?.id).toBe(commit);
    expect(readFileSync(join(source.root, 'seeds/eu.yaml'), 'utf8')).toBe('one\n');
    const next = origin.commit('Second', { 'seeds/eu.yaml': 'two\n' });
    expect(await source.refresh({ signal })).toBe(true);
    expect(source.commit?.id).toBe(next);
    commit = next;
    await source.close();
    expect(readdirSync(workDir)).toEqual([]);
  });

  test('what ssh-keyscan prints makes the server known', async () => {
    const scan = requireTool('ssh', 'ssh-keyscan');
    const printed = execFileSync(scan, ['-p', String(server.port), '127.0.0.1'], { stdio: 'pipe' });
    vi.stubEnv('GIT_SSH_COMMAND', sshCommand(server.userKey, printed.toString()));
    expect((await open()).commit?.id).toBe(commit);
  });

  test('user@host:path is SSH too', async () => {
    vi.stubEnv('GIT_SSH_COMMAND', `${sshCommand(server.userKey, server.knownHost)} -p ${server.port}`);
    const source = await open(`${server.user}@127.0.0.1:${origin.folder}`);
    expect(source.commit?.id).toBe(commit);
  });

  test('a server that is not known is not spoken with, and nobody is asked', async () => {
    vi.stubEnv('GIT_SSH_COMMAND', sshCommand(server.userKey, ''));
    const error = await refusal(open());
    expect(error.code).toBe('git-auth');
    expect(error.message).toContain(address());
    expect(error.message).toContain('host key of the server is not known');
    expect(error.message).toContain('Host key verification failed');
    expect(error.hint).toContain('ssh-keyscan');
    expect(readFileSync(folder.join(`known_hosts-${count}`), 'utf8')).toBe('');
    expect(readdirSync(workDir)).toEqual([]);
  });

  test('a server with another key than before is not spoken with', async () => {
    vi.stubEnv('GIT_SSH_COMMAND', sshCommand(server.userKey, server.formerHost));
    const error = await refusal(open());
    expect(error.code).toBe('git-auth');
    expect(error.message).toContain('another than the known one');
    expect(error.message).not.toContain('@@@');
    expect(error.hint).toContain('somebody may be in between');
  });

  test('a key that the server does not let in', async () => {
    vi.stubEnv('GIT_SSH_COMMAND', sshCommand(server.strangerKey, server.knownHost));
    const error = await refusal(open());
    expect(error.code).toBe('git-auth');
    expect(error.message).toMatch(/refuses the credentials.*Permission denied \(publickey\)/);
    expect(error.hint).toContain('GIT_SSH_COMMAND');
  });

  test('no repository there, and no server', async () => {
    vi.stubEnv('GIT_SSH_COMMAND', sshCommand(server.userKey, server.knownHost));
    const nothing = await refusal(open(`${address()}-nowhere`));
    expect(nothing.code).toBe('git-failed');
    expect(nothing.message).toContain('there is no Git repository');
    const closed = await refusal(open(address().replace(`:${server.port}`, ':1')));
    expect(closed.code).toBe('git-failed');
    expect(closed.message).toContain('it cannot be reached');
  });

  test('granary --repo ssh://… as people run it', async () => {
    const env = { GIT_SSH_COMMAND: sshCommand(server.strangerKey, server.knownHost) };
    const ran = await granary(['validate', '--repo', address()], { env });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(/^error: ssh:.*\nhint: .*GIT_SSH_COMMAND/);
  });
});

describeWith(['git', 'openssl'], 'over HTTPS', () => {
  const folder = tempFolder('git-https');
  const password = plant('pass/word-of-the-bot');
  let certificates: Certificates;
  let server: HttpServer;
  let origin: Repository;
  let commit: string;
  let count = 0;
  let workDir: string;

  beforeAll(async () => {
    certificates = makeCertificates(folder.path);
    server = await serve(gitOverHttp(folder.path, 'bot', password), certificates.server);
    origin = new Repository(folder.join('origin'));
    commit = origin.commit('First', { 'seeds/eu.yaml': 'one\n' });
  });
  beforeEach(() => {
    count++;
    workDir = folder.join(`work-${count}`);
    withoutOwnSettings(folder.path);
  });
  afterEach(() => vi.unstubAllEnvs());
  afterAll(async () => {
    await server.close();
    folder.remove();
  });

  const where = () => `127.0.0.1:${server.port}/origin/.git`;
  const withPassword = () => `https://bot:${encodeURIComponent(password)}@${where()}`;
  const open = (repo: string): Promise<Source> => openSource({ repo, ref: 'main', workDir }, { signal });
  /** Answers git's two questions, the way that docs/git.md tells. */
  const askPass = (): string => {
    const script = folder.join(`askpass-${count}`);
    const answers = 'case "$1" in Username*) echo bot ;; *) printenv GIT_TOKEN ;; esac';
    writeFileSync(script, `#!/bin/sh\n${answers}\n`, { mode: 0o700 });
    return script;
  };

  test('with an authority of one’s own in GIT_SSL_CAINFO', async () => {
    vi.stubEnv('GIT_SSL_CAINFO', certificates.caFile);
    const source = await open(withPassword());
    expect(source.commit?.id).toBe(commit);
    const next = origin.commit('Second', { 'seeds/eu.yaml': 'two\n' });
    expect(await source.refresh({ signal })).toBe(true);
    expect(source.commit?.id).toBe(next);
    commit = next;
  });

  test('a certificate of an authority that is not known', async () => {
    const seen = server.requests.length;
    const error = await refusal(open(withPassword()));
    expect(error.code).toBe('tls-untrusted');
    expect(error.message).toContain(where());
    expect(error.hint).toContain('GIT_SSL_CAINFO');
    expect(server.requests).toHaveLength(seen);
    expect(readdirSync(workDir)).toEqual([]);
  });

  test('a wrong password, and none: told without it', async () => {
    vi.stubEnv('GIT_SSL_CAINFO', certificates.caFile);
    for (const repo of [`https://bot:wr0ng-pass@${where()}`, `https://${where()}`]) {
      const error = await refusal(open(repo));
      expect(error.code).toBe('git-auth');
      expect(inspect(error, { depth: 9 }) + error.hint).not.toContain('wr0ng');
    }
  });

  test('a token from the environment, by GIT_ASKPASS', async () => {
    vi.stubEnv('GIT_SSL_CAINFO', certificates.caFile);
    vi.stubEnv('GIT_ASKPASS', askPass());
    vi.stubEnv('GIT_TOKEN', password);
    expect((await open(`https://${where()}`)).commit?.id).toBe(commit);
    vi.stubEnv('GIT_TOKEN', 'wr0ng-token');
    const error = await refusal(open(`https://${where()}`));
    expect(error.code).toBe('git-auth');
    expect(inspect(error, { depth: 9 }) + error.hint).not.toContain('wr0ng');
  });

  test('a token from a file, by git’s own credential store', async () => {
    const store = folder.join(`credentials-${count}`);
    const settings = folder.join(`gitconfig-${count}`);
    writeFileSync(store, `https://bot:${encodeURIComponent(password)}@127.0.0.1:${server.port}\n`, {
      mode: 0o600,
    });
    writeFileSync(settings, `[credential]\n\thelper = store --file=${store}\n`);
    vi.stubEnv('GIT_SSL_CAINFO', certificates.caFile);
    vi.stubEnv('GIT_CONFIG_GLOBAL', settings);
    expect((await open(`https://${where()}`)).commit?.id).toBe(commit);
  });

  test('granary --repo https://… as people run it: the password is in no output', async () => {
    const env = { GIT_SSL_CAINFO: certificates.caFile };
    for (const output of ['text', 'json']) {
      const found = await granary(['validate', '--repo', withPassword(), '-o', output], { env });
      // The file is no configuration, but it was read.
      expect(found.stdout).toContain('seeds/eu.yaml');
      const untrusted = await granary(['validate', '--repo', withPassword(), '-o', output]);
      expect(untrusted.code).toBe(1);
      expect(untrusted.stderr).toContain('certificate of the server is not trusted');
    }
  });
});
