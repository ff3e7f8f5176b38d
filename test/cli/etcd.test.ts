/** An etcd that cannot be reached, refuses, breaks off or dies, and a spool without room. */
import { readFileSync, statSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runBackup } from '../../src/backup/run.ts';
import { folderDestination, job, keysOf, signal } from '../backup/job.ts';
import { makeCertificates } from '../servers/certificates.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { fillEtcd } from '../servers/keys.ts';
import { freePort } from '../servers/ports.ts';
import { tempFolder } from '../servers/temp.ts';
import { Fleet, freshSecret } from './fleet.ts';
import { SmallDisk, whyNoSmallDisk } from './full-disk.ts';
import { errorOf, expectErrorText, expectFailure, plant, start } from './granary.ts';
import { HoldingProxy } from './holding-proxy.ts';

const backup = ['backup', 'eu/prod'];
const noDisk = whyNoSmallDisk();

/**
 * What comes before the hash in etcd's last message: gRPC's prefix with its length, then tag and length of `blob`. The
 * message has the storage version at its end, once etcd knows that: 34 or 41 bytes.
 */
const lastMessages = [34, 41].map((length) => Buffer.from([0, 0, 0, 0, length, 0x1a, 32]));

/** Nothing was published, and nothing lies around. */
function expectNothingLeft(fleet: Fleet): void {
  expect(fleet.stored('local')).toEqual([]);
  expect(fleet.leftInTemp()).toEqual([]);
}

describeWith(['etcd-3.6'], 'an etcd that cannot be reached', () => {
  test('nothing listens there', async () => {
    const endpoint = `http://127.0.0.1:${await freePort()}`;
    using fleet = await Fleet.make({ endpoints: [endpoint] });
    await expectFailure(
      [...backup, ...fleet.opened],
      { code: 'etcd-unreachable', says: [endpoint, 'connection refused'], hint: 'is etcd running there' },
      { env: fleet.env },
    );
    expectNothingLeft(fleet);
  });
});

describeWith(['etcd-3.6', 'sops'], 'an etcd with a password', () => {
  const password = plant(freshSecret());
  let etcd: EtcdServer;
  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.6', auth: { password } });
    await etcd.etcdctl('user', 'add', 'reader', '--new-user-password', password);
  });
  afterAll(() => etcd.stop());

  async function fleetWith(data: Record<string, string>): Promise<Fleet> {
    const { endpoints } = etcd;
    const fleet = await Fleet.make({ endpoints, cluster: { auth: { credential: 'etcd-prod' } } });
    fleet.seal('etcd-prod', 'etcd', data);
    return fleet;
  }

  test('the wrong one', async () => {
    using fleet = await fleetWith({ username: 'root', password: freshSecret() });
    await expectFailure(
      [...backup, ...fleet.opened],
      {
        code: 'etcd-auth',
        says: ['"root"', etcd.endpoints[0] ?? '', 'invalid user ID or password'],
        hint: 'the credential of eu/prod',
      },
      { env: fleet.env },
    );
    expectNothingLeft(fleet);
  });

  test('a user who may not take a snapshot', async () => {
    using fleet = await fleetWith({ username: 'reader', password });
    await expectFailure(
      [...backup, ...fleet.opened],
      { code: 'etcd-permission', says: ['"reader"', 'permission denied'], hint: 'grant-role reader root' },
      { env: fleet.env },
    );
    expectNothingLeft(fleet);
  });

  test('none given', async () => {
    using fleet = await Fleet.make({ endpoints: etcd.endpoints });
    await expectFailure(
      [...backup, ...fleet.opened],
      { code: 'etcd-auth', says: [etcd.endpoints[0] ?? '', 'authentication on'], hint: '`auth`' },
      { env: fleet.env },
    );
    expectNothingLeft(fleet);
  });
});

describeWith(['etcd-3.6', 'openssl', 'sops'], 'an etcd with TLS', () => {
  let etcd: EtcdServer;
  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.6', tls: true });
  });
  afterAll(() => etcd.stop());

  test('another authority', async () => {
    using folder = tempFolder('ca');
    const { caFile } = makeCertificates(folder.path);
    const [endpoint = ''] = etcd.endpoints;
    using fleet = await Fleet.make({ endpoints: etcd.endpoints, cluster: { tls: { caFile } } });
    await expectFailure(
      [...backup, ...fleet.opened],
      { code: 'etcd-tls', says: [endpoint, 'the CA given for eu/prod'], hint: 'caCertificate' },
      { env: fleet.env },
    );
    expectNothingLeft(fleet);
  });

  test('a file that is no certificate, and is not shown', async () => {
    const caFile = etcd.certificates?.server.keyFile ?? '';
    plant(readFileSync(caFile, 'utf8').split('\n')[1] ?? '');
    using fleet = await Fleet.make({ endpoints: etcd.endpoints, cluster: { tls: { caFile } } });
    await expectFailure(
      [...backup, ...fleet.opened],
      { code: 'etcd-tls', says: ['eu/prod'], hint: 'PEM' },
      { env: fleet.env },
    );
    expectNothingLeft(fleet);
  });

  test('https written as http', async () => {
    using fleet = await Fleet.make({ endpoints: etcd.endpoints.map((one) => one.replace('https', 'http')) });
    await expectFailure(
      [...backup, ...fleet.opened],
      { code: 'etcd-tls', says: ['serves with TLS'], hint: 'write https://' },
      { env: fleet.env },
    );
    expectNothingLeft(fleet);
  });
});

describeWith(['etcd-3.6'], 'a snapshot that breaks off', () => {
  let etcd: EtcdServer;
  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.6' });
    await fillEtcd(etcd, { keys: 500, valueBytes: 8_000 });
  });
  afterAll(() => etcd.stop());

  test('cut at any byte it is never published, also within the last 32', async () => {
    using folder = tempFolder('cut');
    const local = await folderDestination('local', folder.join('local'));
    await using proxy = await HoldingProxy.start(etcd.endpoints[0] ?? '');
    const compression = { algorithm: 'none', level: 1 } as const;
    const attempt = () =>
      runBackup(
        job(
          { endpoints: [proxy.endpoint] },
          { destinations: [local], compression, spoolFolder: folder.join('spool') },
        ),
        { signal },
      );

    expect(await attempt()).toMatchObject({ outcome: 'published' });
    const whole = await keysOf(local);
    const [data = ''] = whole.filter((key) => key.endsWith('.db'));
    const { size } = statSync(folder.join('local', data));
    const cuts = [
      ...Array.from(
        { length: 12 },
        (_, index) => () => proxy.cutAfter(200 + Math.floor((size * index) / 12)),
      ),
      ...[0, 1, 16, 31, 32].map((offset) => () => proxy.cutWithin(lastMessages, 7 + offset)),
    ];
    for (const [index, cut] of cuts.entries()) {
      const before = proxy.cuts;
      cut();
      const result = await attempt();
      expect(result, `cut ${index}`).toMatchObject({ outcome: 'failed', copies: [] });
      expect(result.error?.code, `cut ${index}`).toMatch(/^(snapshot-truncated|etcd-unreachable)$/);
      expect(await keysOf(local), `cut ${index}`).toEqual(whole);
      expect(proxy.cuts, `cut ${index}`).toBeGreaterThan(before);
    }
    proxy.cutAfter(null);
    expect(await attempt()).toMatchObject({ outcome: 'published' });
  });

  test('what the command says of it', async () => {
    await using proxy = await HoldingProxy.start(etcd.endpoints[0] ?? '');
    using fleet = await Fleet.make({ endpoints: [proxy.endpoint] });
    proxy.cutAfter(2_000_000);
    await expectFailure(
      [...backup, ...fleet.opened],
      {
        code: 'snapshot-truncated',
        says: [proxy.endpoint, 'broke off after'],
        hint: 'take another one',
      },
      { env: fleet.env },
    );
    expectNothingLeft(fleet);
  });

  test('a broken stream is tried once more, and then it is a backup', async () => {
    await using proxy = await HoldingProxy.start(etcd.endpoints[0] ?? '');
    using fleet = await Fleet.make({ endpoints: [proxy.endpoint] });
    const held = proxy.holdAfter(2_000_000, 'down');
    const running = start([...backup, ...fleet.opened, '--progress', 'plain'], { env: fleet.env });
    await running.until(held);
    proxy.drop();
    const { code, stdout, stderr } = await running.ended;
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stderr).toContain('warning: the snapshot of');
    expect(stdout).toMatch(/^eu\/prod\/manual\/\d{8}T\d{6}Z on local/);
    expect(fleet.leftInTemp()).toEqual([]);
  });

  test('an etcd that is killed in the middle', async () => {
    await using dying = await startEtcd({ version: '3.6' });
    await fillEtcd(dying, { keys: 500, valueBytes: 8_000 });
    await using proxy = await HoldingProxy.start(dying.endpoints[0] ?? '');
    using fleet = await Fleet.make({ endpoints: [proxy.endpoint] });
    const held = proxy.holdAfter(2_000_000, 'down');
    const running = start([...backup, ...fleet.opened], { env: fleet.env });
    await running.until(held);
    await dying.members[0]?.stop();
    proxy.drop();
    expectErrorText(await running.ended, {
      code: 'etcd-unreachable',
      says: [proxy.endpoint],
      hint: '',
    });
    expectNothingLeft(fleet);
  });

  test('SIGINT in the middle of a snapshot leaves nothing behind', async () => {
    await using proxy = await HoldingProxy.start(etcd.endpoints[0] ?? '');
    using fleet = await Fleet.make({ endpoints: [proxy.endpoint] });
    const held = proxy.holdAfter(2_000_000, 'down');
    const running = start([...backup, ...fleet.opened, '-o', 'json'], { env: fleet.env });
    await running.until(held);
    running.kill('SIGINT');
    const ran = await running.ended;
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(errorOf(ran)).toMatchObject({ code: 'interrupted', message: 'interrupted' });
    expectNothingLeft(fleet);
  });

  test('a database that is larger than the policy allows', async () => {
    using fleet = await Fleet.make({ endpoints: etcd.endpoints, policy: { maxDatabaseSize: '1Mi' } });
    await expectFailure(
      [...backup, ...fleet.opened],
      { code: 'database-too-large', says: ['1.0 MiB'], hint: 'maxDatabaseSize' },
      { env: fleet.env },
    );
    expectNothingLeft(fleet);
  });

  test.skipIf(noDisk !== null)(
    `a spool without room${noDisk === null ? '' : ` (skipped: ${noDisk})`}`,
    async () => {
      using disk = new SmallDisk(2);
      using fleet = await Fleet.make({ endpoints: etcd.endpoints });
      await expectFailure(
        [...backup, ...fleet.opened],
        { code: 'disk-full', says: [disk.path, '2.0 MiB free'], hint: 'TMPDIR' },
        { env: { TMPDIR: disk.path } },
      );
      expectNothingLeft(fleet);
    },
  );

  test.skipIf(noDisk !== null)(
    `a spool that fills while the bytes come${noDisk === null ? '' : ` (skipped: ${noDisk})`}`,
    async () => {
      using disk = new SmallDisk(40);
      await using proxy = await HoldingProxy.start(etcd.endpoints[0] ?? '');
      using fleet = await Fleet.make({ endpoints: [proxy.endpoint] });
      const held = proxy.holdAfter(500_000, 'down');
      const running = start([...backup, ...fleet.opened, '-o', 'json'], { env: { TMPDIR: disk.path } });
      await running.until(held);
      disk.fill();
      proxy.release();
      const ran = await running.ended;
      expect(ran.code).toBe(1);
      expect(errorOf(ran)).toMatchObject({
        code: 'disk-full',
        message: expect.stringContaining(disk.path),
        hint: expect.stringContaining('TMPDIR'),
      });
      expectNothingLeft(fleet);
    },
  );
});
