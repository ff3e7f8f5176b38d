import { describe, expect, test } from 'vitest';
import { connectMember } from '../../src/etcd/connection.ts';
import { compact, put } from '../../src/etcd/kv.ts';
import { chooseMember, surveyMembers } from '../../src/etcd/select.ts';
import type { ErrorCode } from '../../src/model/errors.ts';
import { makeCertificates } from '../servers/certificates.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, etcdVersions, startEtcd, toolOf } from '../servers/etcd.ts';
import { freePort } from '../servers/ports.ts';
import { tempFolder } from '../servers/temp.ts';
import { certificateOf, connectTo, failureOf, never, passwordOf, readAll, targetOf } from './support.ts';

const signal = never;

for (const version of etcdVersions) {
  describeWith([toolOf(version)], `a member of etcd ${version}`, () => {
    test('status, members, alarms and HashKV are what etcdctl says', async () => {
      await using etcd = await startEtcd({ version });
      using member = await connectTo(targetOf(etcd));
      await put(member, 'a', 'one', { signal });
      const revision = await put(member, 'a', 'two', { signal });

      const status = await member.status({ signal });
      const [said] = JSON.parse(await etcd.etcdctl('endpoint', 'status', '-w', 'json')) as [EtcdctlStatus];
      expect(status.version).toBe(said.Status.version);
      expect(status.version.startsWith(version)).toBe(true);
      // A young database still grows between two questions.
      expect(status.dbSize).toBeGreaterThan(0);
      expect(status.dbSize).toBeLessThanOrEqual(said.Status.dbSize);
      expect(status.dbSizeInUse).toBeLessThanOrEqual(status.dbSize);
      expect(status.revision).toBe(revision);
      expect(status.leaderId).toBe(status.memberId);
      expect(status.isLearner).toBe(false);
      expect(status.errors).toEqual([]);
      expect(status.raftAppliedIndex).toBeLessThanOrEqual(status.raftIndex);
      // 3.6 writes its storage version some seconds after its first start.
      const storageVersion = async () => (await member.status({ signal })).storageVersion;
      if (version === '3.6') await expect.poll(storageVersion, { timeout: 60_000 }).toBe('3.6.0');
      else expect(await storageVersion()).toBeNull();

      const members = await member.memberList({ signal });
      expect(members).toEqual([
        {
          id: status.memberId,
          name: 'm1',
          peerUrls: [etcd.members[0]?.peerUrl],
          clientUrls: etcd.endpoints,
          isLearner: false,
        },
      ]);
      expect(await etcd.etcdctl('member', 'list')).toContain(status.memberId);
      expect(await member.alarms({ signal })).toEqual([]);

      const [hashed] = JSON.parse(await etcd.etcdctl('endpoint', 'hashkv', '-w', 'json')) as [EtcdctlHash];
      const newest = await member.hashKV(0, { signal });
      expect(newest).toEqual({
        hash: hashed.HashKV.hash,
        hashRevision: revision,
        compactRevision: -1,
        revision,
        memberId: status.memberId,
      });
      const older = await member.hashKV(revision - 1, { signal });
      expect(older.hashRevision).toBe(revision - 1);
      expect(older.hash).not.toBe(newest.hash);
    });

    test('a compacted and a future revision have errors of their own', async () => {
      await using etcd = await startEtcd({ version });
      using member = await connectTo(targetOf(etcd));
      let last = 0;
      for (let count = 0; count < 5; count++) last = await put(member, 'a', String(count), { signal });
      await compact(member, last - 1, { signal });
      const gone = await failureOf(member.hashKV(last - 3, { signal }));
      expect(gone.code).toBe('revision-compacted');
      const future = await failureOf(member.hashKV(last + 5, { signal }));
      expect(future.code).toBe('etcd-failed');
      expect(future.message).toContain('has not got that revision yet');
      expect((await member.hashKV(last, { signal })).compactRevision).toBe(last - 1);
    });

    test('TLS with a client certificate, by address and by name', async () => {
      await using etcd = await startEtcd({ version, tls: true, clientCertAuth: true });
      const tls = certificateOf(certificatesOf(etcd).client);
      const byAddress = etcd.endpoints[0] ?? '';
      const byName = byAddress.replace('127.0.0.1', 'localhost');
      for (const [endpoint, serverName] of [
        [byAddress, null],
        [byName, null],
        [byAddress, 'localhost'],
      ] as const) {
        using member = await connectTo(
          targetOf(etcd, { endpoints: [endpoint], tls: { ...tls, serverName } }),
        );
        expect((await member.status({ signal })).version.startsWith(version)).toBe(true);
        const snapshot = await readAll(member.snapshot({ signal, stallMs: 10_000 }));
        expect(snapshot.length % 512, `snapshot over ${endpoint}`).toBe(32);
      }
    });

    test('TLS that does not fit: each case is told apart, and none holds the key', async () => {
      await using etcd = await startEtcd({ version, tls: true, clientCertAuth: true });
      using folder = tempFolder('other-ca');
      const other = makeCertificates(folder.path);
      const client = certificateOf(certificatesOf(etcd).client);
      const plainUrl = (etcd.endpoints[0] ?? '').replace('https:', 'http:');
      const cases: [string, Parameters<typeof targetOf>[1], RegExp][] = [
        [
          'unknown authority',
          { tls: { ...client, ca: other.caCertificate } },
          /not from the CA given for eu-west\/prod-a/,
        ],
        [
          'system authorities',
          { tls: { ...client, ca: null } },
          /not from an authority that this system trusts/,
        ],
        [
          'wrong name',
          { tls: { ...client, serverName: 'etcd.example' } },
          /is for another name: etcd\.example/,
        ],
        ['no certificate', {}, /wants a client certificate/],
        [
          'foreign certificate',
          { tls: certificateOf(other.client) },
          /does not accept the client certificate/,
        ],
        [
          'http to https',
          { endpoints: [plainUrl], tls: client },
          /serves with TLS, and the endpoint says http/,
        ],
        ['certificate alone', { tls: { certificate: client.certificate } }, /certificate without its key/],
        ['not a CA', { tls: { ...client, ca: 'not PEM' } }, /CA certificate of eu-west\/prod-a is not PEM/],
        ['key of another', { tls: { ...client, key: certificateOf(other.client).key } }, /cannot be used/],
      ];
      for (const [name, options, message] of cases) {
        const target = targetOf(etcd, options);
        const failure = await failureOf(connectTo(target));
        expect(failure.code, name).toBe('etcd-tls');
        expect(failure.message, name).toMatch(message);
        expect(failure.hint, name).toBeDefined();
        const key = target.tls?.key?.reveal().split('\n')[1];
        if (key !== undefined) expect(textOf(failure), name).not.toContain(key);
      }
    });

    test('https to a member without TLS is told so', async () => {
      await using etcd = await startEtcd({ version });
      const endpoint = (etcd.endpoints[0] ?? '').replace('http:', 'https:');
      const failure = await failureOf(connectTo(targetOf(etcd, { endpoints: [endpoint] })));
      expect(failure.code).toBe('etcd-tls');
      expect(failure.message).toBe(`${endpoint} serves without TLS, and the endpoint says https`);
      expect(failure.hint).toBe(`write ${etcd.endpoints[0]}`);
    });

    test('a password: right, wrong, none, and a user without the role root', async () => {
      await using etcd = await startEtcd({ version, auth: { password: 'correct horse' } });
      await etcd.etcdctl('user', 'add', 'reader:reader-pw');
      const as = (username: string, password: string) =>
        targetOf(etcd, { auth: passwordOf(username, password) });

      using root = await connectTo(as('root', 'correct horse'));
      await put(root, 'a', 'one', { signal });
      expect((await root.hashKV(0, { signal })).compactRevision).toBe(-1);
      expect((await readAll(root.snapshot({ signal, stallMs: 10_000 }))).length % 512).toBe(32);

      const wrong = await failureOf(connectTo(as('root', 'battery staple')));
      expect(wrong.code).toBe('etcd-auth');
      expect(wrong.message).toBe(
        `etcd refused the user "root" at ${etcd.endpoints[0]}: authentication failed, invalid user ID or password`,
      );
      expect(textOf(wrong)).not.toContain('battery staple');
      expect((await failureOf(connectTo(as('nobody', 'battery staple')))).code).toBe('etcd-auth');

      using reader = await connectTo(as('reader', 'reader-pw'));
      const denied = [
        await failureOf(readAll(reader.snapshot({ signal, stallMs: 10_000 }))),
        await failureOf(reader.hashKV(0, { signal })),
      ];
      for (const failure of denied) {
        expect(failure.code).toBe('etcd-permission');
        expect(failure.message).toContain('the user "reader"');
        expect(failure.hint).toContain('etcdctl user grant-role reader root');
      }

      const anonymous = targetOf(etcd);
      const nobody = await failureOf(
        connectTo(anonymous).then(async (member) => {
          using open = member;
          await readAll(open.snapshot({ signal, stallMs: 10_000 }));
        }),
      );
      expect(nobody.code).toBe('etcd-auth');
      expect(nobody.message).toContain('authentication on');
    });

    test('a token that etcd has forgotten is renewed, also for calls that come together', async () => {
      await using etcd = await startEtcd({ version, auth: { password: 'correct horse' } });
      using member = await connectTo(targetOf(etcd, { auth: passwordOf('root', 'correct horse') }));
      await put(member, 'a', 'one', { signal });

      // Turning authentication off and on again throws all simple tokens away.
      await etcd.etcdctl('auth', 'disable');
      await etcd.etcdctl('auth', 'enable');
      const hashes = await Promise.all([1, 2, 3].map(() => member.hashKV(0, { signal })));
      expect(new Set(hashes.map(({ hash }) => hash)).size).toBe(1);

      await etcd.etcdctl('auth', 'disable');
      await etcd.etcdctl('auth', 'enable');
      expect((await readAll(member.snapshot({ signal, stallMs: 10_000 }))).length % 512).toBe(32);
    });

    test('a password goes unused where authentication is off, and is used once it is on', async () => {
      await using etcd = await startEtcd({ version, auth: { password: 'correct horse' } });
      await etcd.etcdctl('auth', 'disable');
      using member = await connectTo(targetOf(etcd, { auth: passwordOf('root', 'correct horse') }));
      await put(member, 'a', 'one', { signal });
      await etcd.etcdctl('auth', 'enable');
      await put(member, 'a', 'two', { signal });
    });

    test('a certificate with the common name root needs no password', async () => {
      await using etcd = await startEtcd({
        version,
        tls: true,
        clientCertAuth: true,
        auth: { password: 'correct horse' },
      });
      const certificates = certificatesOf(etcd);
      using member = await connectTo(targetOf(etcd, { tls: certificateOf(certificates.client) }));
      expect((await readAll(member.snapshot({ signal, stallMs: 10_000 }))).length % 512).toBe(32);
      const stranger = certificateOf(certificates.issue('stranger'));
      const failure = await failureOf(
        connectTo(targetOf(etcd, { tls: stranger })).then(async (open) => {
          using connection = open;
          await connection.hashKV(0, { signal });
        }),
      );
      expect(['etcd-auth', 'etcd-permission']).toContain(failure.code);
    });

    test('three members agree, and one that is down fails alone', async () => {
      await using etcd = await startEtcd({ version, members: 3 });
      const target = targetOf(etcd);
      using first = await connectTo(target);
      const revision = await put(first, 'a', 'one', { signal });

      const whole = chooseMember(await surveyMembers(target, { signal }), {
        prefer: 'follower',
        maxLag: 1_000,
      });
      expect(whole.passedOver).toEqual([]);
      expect(whole.candidates.map(({ role }) => role)).toEqual(['follower', 'follower', 'leader']);
      const hashes = await Promise.all(
        target.endpoints.map(async (endpoint) => {
          using member = await connectMember(target, endpoint, { signal });
          await settled(() => member.status({ signal }), revision);
          return (await member.hashKV(revision, { signal })).hash;
        }),
      );
      expect(new Set(hashes).size).toBe(1);

      const [gone] = etcd.members;
      await gone?.stop();
      const survey = await surveyMembers(target, { signal, timeoutMs: 5_000 });
      expect(survey.map(({ status }) => status !== null)).toEqual([false, true, true]);
      const [down] = survey;
      expect(down?.error?.code).toBe('etcd-unreachable');
      const { candidates, passedOver } = chooseMember(survey, { prefer: 'any', maxLag: 1_000 });
      expect(candidates.map(({ endpoint }) => endpoint).toSorted()).toEqual(
        etcd.endpoints.slice(1).toSorted(),
      );
      expect(passedOver.map(({ endpoint }) => endpoint)).toEqual([gone?.endpoint]);

      // Without a majority a member still gives what a backup needs.
      await etcd.members[1]?.stop();
      const lone = etcd.endpoints[2] ?? '';
      using last = await connectMember(target, lone, { signal });
      expect((await last.memberList({ signal })).length).toBe(3);
      expect((await last.hashKV(revision, { signal })).hash).toBe(hashes[0]);
      expect((await readAll(last.snapshot({ signal, stallMs: 10_000 }))).length % 512).toBe(32);
    });
  });
}

describe('a member that is not there', () => {
  const onFreePort = async (scheme: string): Promise<string> => `${scheme}://127.0.0.1:${await freePort()}`;
  const absent: [string, () => Promise<string> | string, ErrorCode, RegExp][] = [
    ['nobody listens', () => onFreePort('http'), 'etcd-unreachable', /connection refused/],
    ['nobody listens for TLS', () => onFreePort('https'), 'etcd-unreachable', /connection refused/],
    ['no such name', () => 'http://etcd.invalid:2379', 'etcd-unreachable', /does not resolve/],
    ['no scheme', () => '10.0.0.1:2379', 'config-invalid', /http:\/\/ or https:\/\//],
    ['a user in the URL', () => 'http://root:hunter2@10.0.0.1:2379', 'config-invalid', /endpoint/],
  ];
  test.each(absent)('%s', async (_name, endpoint, code, message) => {
    const target = { name: 'eu-west/prod-a', endpoints: [await endpoint()], tls: null, auth: null };
    const failure = await failureOf(connectTo(target, 5_000));
    expect(failure.code).toBe(code);
    expect(failure.message).toMatch(message);
    expect(failure.hint).toBeDefined();
    expect(textOf(failure)).not.toContain('hunter2');
  });

  test('an aborted signal ends the attempt with its reason', async () => {
    const controller = new AbortController();
    const target = { name: 'eu-west/prod-a', endpoints: ['http://10.255.255.1:2379'], tls: null, auth: null };
    const attempt = connectMember(target, target.endpoints[0] ?? '', { signal: controller.signal });
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(attempt).rejects.toBe(reason);
  });
});

interface EtcdctlStatus {
  readonly Status: { readonly version: string; readonly dbSize: number };
}

interface EtcdctlHash {
  readonly HashKV: { readonly hash: number };
}

function certificatesOf(etcd: EtcdServer) {
  if (etcd.certificates === undefined) throw new Error('started without TLS');
  return etcd.certificates;
}

/** All that a report of the error could show. */
function textOf(error: Error): string {
  return JSON.stringify([
    error.message,
    error.stack,
    error,
    String(error.cause),
    (error.cause as Error)?.stack,
  ]);
}

/** Waits until a member has a revision: followers apply what the leader has decided a moment later. */
async function settled(ask: () => Promise<{ readonly revision: number }>, revision: number): Promise<void> {
  while ((await ask()).revision < revision) {
    // Asking again is the wait.
  }
}
