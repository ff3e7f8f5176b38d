/** The test servers themselves: what the other tests lean on. */
import { existsSync } from 'node:fs';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { describe, expect, test } from 'vitest';
import { startAzurite } from './azurite.ts';
import { describeWith } from './describe.ts';
import { etcdVersions, startEtcd, startEtcdFrom, toolOf } from './etcd.ts';
import { startFakeGcs } from './fake-gcs.ts';
import { fillEtcd, kubernetesLikeKeys } from './keys.ts';
import { startMinio } from './minio.ts';
import { StartFailure, startProcess } from './process.ts';
import { tempFolder } from './temp.ts';

for (const version of etcdVersions) {
  describeWith([toolOf(version)], `etcd ${version}`, () => {
    test('one member takes a key, and a restored snapshot of it boots with that key', async () => {
      using folder = tempFolder();
      await using etcd = await startEtcd({ version });
      await etcd.etcdctl('put', 'a', 'one');
      await etcd.etcdctl('snapshot', 'save', folder.join('s.db'));
      const restored = folder.join('restored');
      await etcd.etcdutl('snapshot', 'restore', folder.join('s.db'), '--data-dir', restored);
      await using second = await startEtcdFrom(restored, version, { name: 'default' });
      expect(await second.etcdctl('get', 'a', '--print-value-only')).toBe('one\n');
      await second.stop();
      expect(existsSync(restored)).toBe(true);
    });

    test('three members with TLS, client certificates and a password', async () => {
      await using etcd = await startEtcd({
        version,
        members: 3,
        tls: true,
        clientCertAuth: true,
        auth: { password: 'correct horse' },
      });
      await etcd.etcdctl('put', 'a', 'one');
      expect(await etcd.etcdctl('get', 'a', '--print-value-only')).toBe('one\n');
      const status = JSON.parse(await etcd.etcdctl('endpoint', 'status', '--write-out=json')) as unknown[];
      expect(status).toHaveLength(3);
      await expect(etcd.etcdctl('get', 'a', '--user', 'root', '--password', 'wrong')).rejects.toThrow();
    });

    test('is filled with keys, over TLS without client certificates, signed in', async () => {
      await using etcd = await startEtcd({ version, tls: true, auth: { password: 'with:colon' } });
      const { keys } = await fillEtcd(etcd, { keys: 250, valueBytes: 300 });
      expect(keys).toBe(250);
      const list = await etcd.etcdctl('get', '/registry/', '--prefix', '--keys-only');
      expect(list.split('\n').filter((line) => line !== '')).toHaveLength(250);
      const [first] = kubernetesLikeKeys({ keys: 1, valueBytes: 300 });
      const key = Buffer.from(first?.key ?? '').toString();
      expect(await etcd.etcdctl('get', key, '--print-value-only')).toBe(
        `${Buffer.from(first?.value ?? '')}\n`,
      );
    });

    test('a member comes back with its data after it was killed', async () => {
      await using etcd = await startEtcd({ version });
      await etcd.etcdctl('put', 'a', 'one');
      const [member] = etcd.members;
      member?.kill('SIGKILL');
      await member?.stop();
      expect(member?.running).toBe(false);
      await member?.start();
      expect(await etcd.etcdctl('get', 'a', '--print-value-only')).toBe('one\n');
    });
  });
}

describeWith(['minio'], 'minio', () => {
  test.each([{ tls: false }, { tls: true }])('keeps an object, TLS $tls', async ({ tls }) => {
    await using minio = await startMinio({ tls });
    await minio.createBucket('granary', { versioning: true });
    await minio.client.send(new PutObjectCommand({ Bucket: 'granary', Key: 'k', Body: 'one' }));
    const { Body } = await minio.client.send(new GetObjectCommand({ Bucket: 'granary', Key: 'k' }));
    expect(await Body?.transformToString()).toBe('one');
    expect(minio.caCertificate?.startsWith('-----BEGIN CERTIFICATE-----') ?? false).toBe(tls);
    await minio.removeBucket('granary');
    const head = minio.client.send(new GetObjectCommand({ Bucket: 'granary', Key: 'k' }));
    await expect(head).rejects.toMatchObject({ name: 'NoSuchBucket' });
  });
});

describeWith(['fake-gcs-server'], 'fake-gcs-server', () => {
  test('keeps an object', async () => {
    await using gcs = await startFakeGcs();
    await gcs.createBucket('granary');
    const file = gcs.client.bucket('granary').file('a/k');
    await file.save('one', { resumable: false });
    expect(String((await file.download())[0])).toBe('one');
    await gcs.removeBucket('granary');
    expect(await gcs.client.bucket('granary').exists()).toEqual([false]);
  });
});

describeWith(['azurite'], 'azurite', () => {
  test.each([{ tls: false }, { tls: true }])('keeps a blob, TLS $tls', async ({ tls }) => {
    await using azurite = await startAzurite({ tls });
    await azurite.createContainer('granary');
    const blob = azurite.container('granary').getBlockBlobClient('k');
    await blob.upload('one', 3);
    expect(String(await blob.downloadToBuffer())).toBe('one');
    expect(azurite.caCertificate?.startsWith('-----BEGIN CERTIFICATE-----') ?? false).toBe(tls);
    await azurite.removeContainer('granary');
    await expect(blob.upload('two', 3)).rejects.toMatchObject({ code: 'ContainerNotFound' });
  });
});

describe('startProcess', () => {
  const base = { name: 'node', command: process.execPath, ready: () => Promise.resolve(false) };

  test('tells how a server ended that never became ready, with its last words', async () => {
    const failing = startProcess({
      ...base,
      args: ['-e', 'console.error("address already in use"); process.exit(3)'],
    });
    const failure = await failing.catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(StartFailure);
    expect((failure as StartFailure).portTaken).toBe(true);
    expect((failure as Error).message).toMatch(/exit code 3[\s\S]*address already in use/);
  });

  test('ends a server that does not become ready in time', async () => {
    const slow = startProcess({ ...base, args: ['-e', 'setInterval(() => {}, 1000)'], readyTimeoutMs: 300 });
    await expect(slow).rejects.toThrow(/not ready after 0.3 s/);
  });

  test('ends a server that ignores SIGTERM', async () => {
    const script = 'process.on("SIGTERM", () => {}); console.log("up"); setInterval(() => {}, 1000)';
    let output = (): string => '';
    const starting = startProcess({ ...base, args: ['-e', script], ready: async () => true });
    const server = await starting;
    output = server.log;
    await expect.poll(output).toContain('up');
    expect(await server.stop(100)).toEqual({ code: null, signal: 'SIGKILL' });
    expect(server.running).toBe(false);
  });

  test('a program that does not exist is a failure to start', async () => {
    const starting = startProcess({ ...base, command: '/nonexistent/server', args: [] });
    await expect(starting).rejects.toThrow(/cannot be started/);
  });
});
