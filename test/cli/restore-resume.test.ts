/** A restore that was cut off, and the next one to the same target: what stays, what is read again, what is believed. */
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { describeWith } from '../servers/describe.ts';
import { startEtcd } from '../servers/etcd.ts';
import { fillEtcd } from '../servers/keys.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { Fleet } from './fleet.ts';
import { expectFailure, granary, granaryJson, plant, start } from './granary.ts';
import { HoldingProxy } from './holding-proxy.ts';

describeWith(['etcd-3.6', 'minio', 'sops'], 'a restore that was cut off', () => {
  let minio: MinioServer;
  let fleet: Fleet;
  let proxy: HoldingProxy;
  let opened: string[];
  let id: string;
  let sound: Buffer;
  let work: TempFolder;
  let target: string;

  beforeAll(async () => {
    await using etcd = await startEtcd({ version: '3.6' });
    await fillEtcd(etcd, { keys: 2_000, valueBytes: 4_000 });
    minio = await startMinio();
    plant(minio.secretAccessKey);
    await minio.createBucket('remote');
    proxy = await HoldingProxy.start(minio.endpoint);
    const identity = plant(await generateX25519Identity());
    fleet = await Fleet.make({
      endpoints: etcd.endpoints,
      destinations: {},
      policy: {
        destinations: ['minio', 'disk'],
        compression: { algorithm: 'none' },
        encryption: { recipients: [await identityToRecipient(identity)] },
      },
    });
    const { accessKeyId, secretAccessKey, region } = minio;
    fleet.seal('minio-key', 's3', { accessKeyId, secretAccessKey });
    const where = {
      provider: 's3',
      bucket: 'remote',
      endpoint: proxy.endpoint,
      region,
      forcePathStyle: true,
    };
    fleet.write('Destination', 'minio', { ...where, credential: 'minio-key' });
    fleet.write('Destination', 'disk', fleet.local('disk'));
    const keyFile = fleet.folder.join('backup.key');
    writeFileSync(keyFile, `${identity}\n`, { mode: 0o600 });
    opened = [...fleet.opened, '--age-key-file', keyFile];
    const { results } = await granaryJson<{ results: { id: string }[] }>(['backup', 'eu/prod', ...opened], {
      env: fleet.env,
    });
    id = results[0]?.id ?? '';
    const file = fleet.folder.join('sound.db');
    await granary(['restore', `${id}@disk`, '--to', file, ...opened], { env: fleet.env });
    sound = readFileSync(file);
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await minio.stop();
    fleet[Symbol.dispose]();
  });
  beforeEach(() => {
    work = tempFolder('restore-resume');
    target = work.join('prod.db');
    return () => work.remove();
  });

  const restore = (name: string) => ['restore', name, '--to', target, ...opened];
  const run = (name: string) => granary(restore(name), { env: fleet.env });
  /** Names of what stands beside the target. */
  const beside = () => readdirSync(work.path);
  const partPath = () => join(work.path, beside().find((name) => name.endsWith('.part')) ?? 'none');

  /** Kills a restore in the middle of its download; gives the part that it leaves. */
  async function cutOff(): Promise<string> {
    const reached = proxy.holdAfter(6_000_000, 'down');
    const running = start(restore(`${id}@minio`), { env: fleet.env });
    await running.until(reached);
    await hasCome();
    running.kill('SIGINT');
    expect((await running.ended).code).toBe(1);
    proxy.release();
    return partPath();
  }

  /** All that the proxy let through is with the restore when its part has grown so far. */
  async function hasCome(): Promise<void> {
    await vi.waitFor(() => expect(statSync(partPath()).size).toBeGreaterThan(4_000_000), {
      timeout: 100_000,
    });
  }

  function expectRestored(): void {
    expect(readFileSync(target).equals(sound)).toBe(true);
    expect(beside()).toEqual(['prod.db']);
  }

  test('goes on where it was, and not from the start', async () => {
    const part = await cutOff();
    const { size, mode } = statSync(part);
    expect(size).toBeGreaterThan(4_000_000);
    expect(mode & 0o777).toBe(0o600);
    // What came over the line is stored bytes: of an encrypted backup nothing lies there in plain text.
    expect(readFileSync(part).includes('/registry/')).toBe(false);
    const before = proxy.passedDown;
    const ran = await run(`${id}@minio`);
    expect(ran).toMatchObject({ code: 0, stderr: expect.stringMatching(/^resumed {4}.*rest from minio$/m) });
    expect(proxy.passedDown - before).toBeLessThan(sound.length - size + 500_000);
    expectRestored();
  });

  test('goes on with another copy, whose bytes are the same', async () => {
    await cutOff();
    const ran = await run(`${id}@disk`);
    expect(ran).toMatchObject({ code: 0, stderr: expect.stringMatching(/^resumed {4}.*rest from disk$/m) });
    expectRestored();
  });

  test('that was killed at once leaves plain text, which the next one names and clears away', async () => {
    const reached = proxy.holdAfter(6_000_000, 'down');
    const running = start(restore(`${id}@minio`), { env: fleet.env });
    await running.until(reached);
    await hasCome();
    running.kill('SIGKILL');
    await running.ended;
    proxy.release();
    const plain =
      beside().find((name) => name.endsWith('.partial')) ?? expect.fail('nothing was being written');
    const ran = await run(id);
    expect(ran.code).toBe(0);
    expect(ran.stderr).toContain(`has left secrets of the cluster behind: ${join(work.path, plain)}`);
    expectRestored();
  });

  test.each(['--to', '--data-dir'])(
    'by another one to the same %s, which is done first: it is left, and told of',
    async (what) => {
      if (what === '--data-dir') mkdirSync(target);
      const command = (name: string) => ['restore', name, what, target, ...opened];
      const reached = proxy.holdAfter(6_000_000, 'down');
      const slow = start(command(`${id}@minio`), { env: fleet.env });
      await slow.until(reached);
      const fast = await granary(command(`${id}@disk`), { env: fleet.env });
      expect(fast).toMatchObject({ code: 0, stderr: expect.stringContaining('or another that still runs,') });
      proxy.release();
      const ran = await slow.ended;
      expect(ran).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/^error: .*prod\.db (exists|is not empty)/m),
      });
      expect(beside()).toEqual(['prod.db']);
      if (what === '--data-dir') expect(readdirSync(target)).toEqual(['member']);
    },
  );

  test('is not believed: bytes that were changed are read again', async () => {
    const part = await cutOff();
    const bytes = readFileSync(part);
    const middle = bytes.length >> 1;
    bytes[middle] = (bytes[middle] ?? 0) ^ 1;
    writeFileSync(part, bytes);
    const ran = await run(`${id}@disk`);
    expect(ran).toMatchObject({ code: 0, stderr: expect.stringContaining('is not what is stored') });
    expectRestored();
  });

  test('is not believed where it is longer than what is stored, or empty', async () => {
    const part = await cutOff();
    for (const bytes of [sound.length * 2, 0]) {
      truncateSync(part, bytes);
      const ran = await run(`${id}@disk`);
      expect(ran.code).toBe(0);
      expectRestored();
      work.remove();
      mkdirSync(work.path);
      writeFileSync(part, '', { mode: 0o600 });
    }
  });

  test('by somebody else: a link, or a file that others may write, is left as it is', async () => {
    const part = await cutOff();
    const elsewhere = fleet.folder.join('elsewhere');
    writeFileSync(elsewhere, 'mine', { mode: 0o600 });
    for (const plantIt of [
      () => symlinkSync(elsewhere, part),
      () => {
        writeFileSync(part, 'not ours');
        chmodSync(part, 0o666);
      },
    ]) {
      work.remove();
      mkdirSync(work.path);
      plantIt();
      const ran = await run(`${id}@disk`);
      expect(ran).toMatchObject({ code: 0, stderr: expect.not.stringContaining('resumed') });
      expectRestored();
    }
    expect(readFileSync(elsewhere, 'utf8')).toBe('mine');
  });

  test('by a network that stays away says how to go on; a wrong key keeps nothing', async () => {
    const reached = proxy.holdAfter(6_000_000, 'down');
    const running = start(restore(`${id}@minio`), { env: fleet.env });
    await running.until(reached);
    await hasCome();
    proxy.cutAfter(0);
    proxy.drop();
    const failed = await running.ended;
    proxy.cutAfter(null);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(/^hint: .*; the same command goes on from what was read, .* stays in /m);
    await expectFailure(
      ['restore', `${id}@minio`, '--to', target, ...fleet.opened],
      { code: 'age-key-wrong', says: [id], hint: 'age1' },
      { env: fleet.env },
    );
    expect(beside()).toEqual([]);
  });
});
