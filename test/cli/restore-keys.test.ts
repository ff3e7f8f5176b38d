/** `restore --keys --into`, as people run it: the plan first, with passwords and certificates, breaks and Ctrl-C. */
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { Fleet, freshSecret } from './fleet.ts';
import { expectFailure, granary, granaryJson, plant, start } from './granary.ts';

interface Result {
  readonly items: readonly { readonly key: string; readonly action: string; readonly outcome: string }[];
  readonly plan: Readonly<Record<string, number>>;
  readonly onlyThere: number;
  readonly written: number;
  readonly conflicts: number;
  readonly next: string | null;
}

const many = Array.from({ length: 120 }, (_, index) => `/many/${String(index).padStart(3, '0')}`);

describeWith(['etcd-3.4', 'etcd-3.6', 'sops', 'openssl'], 'keys into a running cluster', () => {
  let fleet: Fleet;
  let file: string;
  let etcd: EtcdServer;
  let work: TempFolder;

  beforeAll(async () => {
    await using source = await startEtcd({ version: '3.6' });
    await source.etcdctl('put', '/app/colour', 'blue');
    await source.etcdctl('put', '/app/size', 'large');
    await source.etcdctl('put', '/registry/secrets/shop/db', 'k8s:enc:aescbc:v1:key1:...');
    for (const name of many) await source.etcdctl('put', name, `value of ${name}`);
    fleet = await Fleet.make({ endpoints: source.endpoints });
    await granary(['backup', 'eu/prod', ...fleet.opened], { env: fleet.env });
    file = fleet.folder.join('prod.db');
    await granary(['restore', 'eu/prod', '--to', file, ...fleet.opened], { env: fleet.env });
  });
  afterAll(() => fleet[Symbol.dispose]());
  beforeEach(() => {
    work = tempFolder('restore-keys');
    return () => work.remove();
  });

  const into = (...words: string[]) => ['restore', '--file', file, '--into', etcd.endpoints.join(), ...words];

  describe('without authentication', () => {
    beforeEach(async () => {
      etcd = await startEtcd({ version: '3.6' });
      return () => etcd.stop();
    });

    test('nothing is written before the plan was seen; what it names can be pasted', async () => {
      await etcd.etcdctl('put', '/app/colour', 'red');
      await etcd.etcdctl('put', '/app/other', 'stays');
      const endpoint = etcd.endpoints.join();
      const plan = await granary(
        ['restore', 'eu/prod', '--keys', '/app/', '--into', endpoint, ...fleet.opened],
        { env: fleet.env },
      );
      expect(plan.code).toBe(0);
      expect(plan.stdout).toContain('~ /app/colour  revision 2 there, 3 B -> 4 B\n+ /app/size  5 B\n');
      expect(plan.stdout).toContain(
        'Plan: 1 to create, 1 to overwrite, 0 unchanged, 1 only in the cluster and left alone. Nothing was written.\n',
      );
      expect(await etcd.etcdctl('get', '/app/colour', '--print-value-only')).toBe('red\n');

      const [, next = ''] = /^next +granary (.*)$/m.exec(plan.stdout) ?? [];
      expect(next).toMatch(/^restore eu\/prod\/manual\/\d{8}T\d{6}Z .*--planned-at 3 --yes$/);
      await etcd.etcdctl('put', '/app/size', 'theirs');
      const ran = await granary(next.split(' '), { env: fleet.env });
      expect(ran.code).toBe(4);
      expect(ran.stdout).toContain(
        'x /app/size  was written at revision 4, after the plan, and is left alone\n',
      );
      expect(ran.stdout).toContain('written    1 key\n');
      expect(await etcd.etcdctl('get', '/app/', '--prefix', '--print-value-only')).toBe(
        'blue\nstays\ntheirs\n',
      );
      const other = { code: 'usage', says: ['revision 5', '99'], hint: 'new plan' } as const;
      await expectFailure(into('--keys', '/app/', '--planned-at', '99', '--yes'), other);
    });

    test('Kubernetes and keys of encryption are told of, one whole key is chosen, JSON has it all', async () => {
      const words = into('--keys', '/registry/secrets/shop/db', '--exact');
      const plan = await granary(words);
      expect(plan.stderr).toContain('note       keys of Kubernetes: stop the API servers before');
      expect(plan.stderr).toContain('provider aescbc, key key1');
      const done = await granaryJson<Result>([...words, '--yes']);
      expect(done).toMatchObject({ plan: { create: 1 }, written: 1, next: null });
      const again = await granaryJson<Result>([...words, '--yes']);
      expect(again).toMatchObject({ items: [{ action: 'unchanged', outcome: 'none' }], written: 0 });
    });

    test('a prefix that no key has is no success, and TLS where there is none is told as that', async () => {
      await etcd.etcdctl('put', '/ap/colour', 'red');
      await expectBoth(into('--keys', '/ap/', '--yes'), 'key-not-found', 'begins with /ap/', 'granary ls');
      await expectBoth(into('--keys', '/app/', '--exact'), 'key-not-found', 'no key /app/ in', 'granary ls');
      const plain = etcd.endpoints[0] ?? '';
      const secure = ['restore', '--file', file, '--keys', '/', '--into', plain.replace('http:', 'https:')];
      await expectBoth(secure, 'etcd-tls', 'serves without TLS', `write ${plain}`);
    });

    test('a member that goes away in the middle: what was written stays, and a rerun does what is left', async () => {
      const running = start(into('--keys', '/many/', '--yes', '--rate', '20'));
      await running.until(waitForKeys(etcd, 10));
      etcd.kill('SIGKILL');
      const broken = await running.ended;
      expect(broken.code).toBe(4);
      expect(broken.stderr).toMatch(
        /error: .*; \d+ keys written until then stay\nhint: .*the same command goes on/s,
      );
      await etcd.members[0]?.stop();
      await etcd.members[0]?.start();
      const rest = await granaryJson<Result>(into('--keys', '/many/', '--yes', '--rate', '10000'));
      expect(rest.plan.unchanged).toBeGreaterThanOrEqual(8);
      expect(rest.written).toBe(120 - (rest.plan.unchanged ?? 0));
      expect(await etcd.etcdctl('get', '/many/', '--prefix', '--print-value-only')).toBe(
        many.map((name) => `value of ${name}\n`).join(''),
      );
    });

    test('Ctrl-C ends it in order, and it goes on later', async () => {
      const running = start(into('--keys', '/many/', '--yes', '--rate', '20'));
      await running.until(waitForKeys(etcd, 10));
      running.kill('SIGINT');
      const stopped = await running.ended;
      expect(stopped.code).toBe(4);
      expect(stopped.stderr).toMatch(/error: interrupted; \d+ keys written until then stay/);
      const rest = await granaryJson<Result>(into('--keys', '/many/', '--yes', '--rate', '10000'));
      expect(rest.written).toBe(120 - (rest.plan.unchanged ?? 0));
      expect(rest.written).toBeLessThan(120);
    });

    test('somebody who writes at the same time: told by name, left alone, exit 4', async () => {
      for (const name of many) await etcd.etcdctl('put', name, 'old');
      const running = start(into('--keys', '/many/', '--yes', '--rate', '20'));
      await running.until(waitForKeys(etcd, 3, '/many/00'));
      await etcd.etcdctl('put', '/many/110', 'theirs');
      const ran = await running.ended;
      expect(await etcd.etcdctl('get', '/many/110', '--print-value-only')).toBe('theirs\n');
      expect(ran.stdout).toMatch(
        /^x \/many\/110 {2}was written (by somebody else|at revision \d+, after the plan)/m,
      );
      expect(ran.stdout).toContain('written    119 keys');
      expect(ran.code).toBe(4);
    });
  });

  test('a user who may write these keys only, on etcd 3.4', async () => {
    const password = plant(freshSecret());
    const small = plant(freshSecret());
    etcd = await startEtcd({ version: '3.4', auth: { password } });
    try {
      await etcd.etcdctl('role', 'add', 'app');
      await etcd.etcdctl('role', 'grant-permission', 'app', 'readwrite', '/app/', '--prefix');
      await etcd.etcdctl('user', 'add', 'app', '--new-user-password', small);
      await etcd.etcdctl('user', 'grant-role', 'app', 'app');
      const passwordFile = work.join('password');
      writeFileSync(passwordFile, `${small}\n`, { mode: 0o600 });
      const login = ['--user', 'app', '--password-file', passwordFile];
      const done = await granaryJson<Result>(into('--keys', '/app/', '--yes', ...login));
      expect(done.written).toBe(2);
      const fromEnv = await granaryJson<Result>(into('--keys', '/app/', '--user', 'app'), {
        env: { ETCDCTL_PASSWORD: small },
      });
      expect(fromEnv.plan.unchanged).toBe(2);

      const why = 'permission denied';
      await expectBoth(into('--keys', '/many/', ...login), 'etcd-permission', why, 'grant-permission');
      await expectBoth(into('--keys', '/app/'), 'etcd-auth', 'nobody was named', '--user');
      writeFileSync(passwordFile, plant(freshSecret()));
      await expectBoth(
        into('--keys', '/app/', ...login),
        'etcd-auth',
        'invalid user ID or password',
        '--password-file',
      );
      const spoken = await granary(into('--keys', '/app/', '--user', `app:${small}`));
      expect(spoken.stderr).toMatch(/^error: --user holds more than a name/);
    } finally {
      await etcd.stop();
    }
  });

  test('TLS with a client certificate', async () => {
    etcd = await startEtcd({ version: '3.6', tls: true, clientCertAuth: true });
    try {
      const { caFile, client } = etcd.certificates ?? expect.fail('it has certificates');
      const own = ['--cert', client.certFile, '--key', client.keyFile];
      const done = await granaryJson<Result>(into('--keys', '/app/', '--yes', '--cacert', caFile, ...own));
      expect(done.written).toBe(2);
      await expectBoth(into('--keys', '/app/', ...own), 'etcd-tls', 'not from', '--cacert');
      await expectBoth(into('--keys', '/app/', '--cacert', caFile), 'etcd-tls', 'certificate', '--cert');
      await expectBoth(
        into('--keys', '/app/', '--cert', client.certFile),
        'usage',
        'belong together',
        'both',
      );
      await expectBoth(
        into('--keys', '/app/', '--cacert', work.join('none')),
        'file-unreadable',
        'none',
        'path',
      );
    } finally {
      await etcd.stop();
    }
  });

  test('a cluster of the configuration: its endpoints, certificates and user', async () => {
    const password = plant(freshSecret());
    etcd = await startEtcd({ version: '3.6', tls: true, auth: { password } });
    try {
      const { caFile } = etcd.certificates ?? expect.fail('it has certificates');
      using live = await Fleet.make({
        endpoints: etcd.endpoints,
        cluster: { tls: { caFile }, auth: { credential: 'etcd' } },
      });
      live.seal('etcd', 'etcd', { username: 'root', password });
      const words = ['restore', '--file', file, '--keys', '/app/', '--into', 'eu/prod', ...live.opened];
      const plan = await granary(words);
      expect(plan.code).toBe(0);
      const next = /^next {7}(.*)$/m.exec(plan.stdout)?.[1]?.split(' ').slice(1) ?? expect.fail(plan.stdout);
      expect(next.join(' ')).toContain('--into eu/prod');
      expect(await granary(next)).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^written {4}2 keys/m),
      });

      await expectBoth([...words, '--user', 'root'], 'usage', 'how to sign in', '--user');
      const other = words.map((word) => (word === 'eu/prod' ? 'eu/other' : word));
      await expectBoth(other, 'unknown-object', 'eu/other', 'eu/prod');
      live.seal('etcd', 'etcd', { username: 'root', password: plant(freshSecret()) });
      const refused = await granary(words);
      expect(refused.stderr).toMatch(/^error: .*invalid user ID or password/m);
      expect(refused.stderr).not.toContain('--user');
    } finally {
      await etcd.stop();
    }
  });

  test('what is asked wrongly', async () => {
    const words = ['restore', '--file', file];
    await expectBoth([...words, '--into', '127.0.0.1:1'], 'usage', '--into without --keys', '--keys PREFIX');
    await expectBoth([...words, '--keys', '/'], 'usage', '--keys without --into', '--into ENDPOINTS');
    await expectBoth([...words, '--yes', '--to', 'x'], 'usage', '--yes belongs to --into', '--keys');
    await expectBoth(['restore', '--keys', '/', '--into', 'x:1'], 'usage', 'must be named', '--file');
    await expectBoth(
      [...words, '--keys', '/', '--into', 'x:1', '--to', 'y'],
      'usage',
      '--to',
      'running cluster',
    );
    await expectBoth(
      [...words, '--keys', '/', '--into', 'x:1', '--rate', '0'],
      'usage',
      '`0`',
      'whole number',
    );
    await expectBoth([...words, '--keys', '/', '--into', 'ftp://x'], 'config-invalid', 'http', 'https://');
    await expectBoth(
      [...words, '--keys', '/', '--into', '127.0.0.1:1'],
      'etcd-unreachable',
      'refused',
      'running',
    );
  });

  function expectBoth(
    args: readonly string[],
    code: Parameters<typeof expectFailure>[1]['code'],
    says: string,
    hint: string,
  ): Promise<void> {
    return expectFailure(args, { code, says: [says], hint });
  }
});

/** When the cluster has so many keys that a restore wrote. */
async function waitForKeys(etcd: EtcdServer, count: number, prefix = '/many/'): Promise<void> {
  for (;;) {
    const text = await etcd.etcdctl('get', prefix, '--prefix', '--print-value-only');
    if (text.split('\n').filter((line) => line.startsWith('value of')).length >= count) return;
  }
}
