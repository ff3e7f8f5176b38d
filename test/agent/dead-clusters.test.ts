/** An agent of many clusters of which some are dead: told by counts and by the order of its log, never by a clock. */
import { mkdirSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { filesIn } from '../cli/granary.ts';
import { Repository } from '../git/repository-fixture.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { freePort } from '../servers/ports.ts';
import { tempFolder } from '../servers/temp.ts';
import { type Line, RunningAgent } from './running-agent.ts';
import { configuration } from './world.ts';

const patience = { timeout: 240_000, interval: 100 };

/** Takes every connection and never says a word, as a machine that hangs does. */
async function startSilence(): Promise<AsyncDisposable & { readonly endpoint: string }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describeWith(['etcd-3.6'], 'an agent of many clusters', () => {
  let etcd: EtcdServer;
  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.6' });
  });
  afterAll(() => etcd.stop());

  const [hangs, refuses, lives] = [6, 20, 40];

  test('backs up those that answer while others hang or are gone, and tries each of these by itself', async () => {
    using temp = tempFolder('many');
    await using silence = await startSilence();
    const nobody = `http://127.0.0.1:${await freePort()}`;
    const [sound = ''] = etcd.endpoints;
    const named = (prefix: string, count: number, endpoint: string) =>
      Array.from({ length: count }, (_, index): [string, string] => [`${prefix}${index}`, endpoint]);
    // In the order of the configuration those that hang come first.
    const clusters = Object.fromEntries([
      ...named('hangs', hangs, silence.endpoint),
      ...named('lives', lives, sound),
      ...named('gone', refuses, nobody),
    ]);
    const repository = new Repository(temp.join('config'));
    const disk = temp.join('disk');
    mkdirSync(disk);
    const files = (policy: string) => configuration({ seeds: { eu: clusters }, disk, policy });
    repository.commit('first', files('often'));
    await using agent = new RunningAgent(['--repo', repository.folder]);
    const of = (msg: string, prefix: string, since = 0): Line[] =>
      agent.lines.slice(since).filter((line) => line.msg === msg && String(line.cluster).startsWith(prefix));

    await agent.logged('backup done');
    // Each that hangs would have kept one of two places until it was given up.
    expect(of('backup failed', 'hangs')).toEqual([]);
    await expect.poll(() => of('backup done', 'lives').length, patience).toBe(lives);
    await expect.poll(() => of('backup failed', 'hangs').length, patience).toBeGreaterThanOrEqual(hangs);
    expect(new Set(of('backup failed', 'hangs').map(({ cluster }) => cluster)).size).toBe(hangs);
    expect(new Set(of('backup failed', 'gone').map(({ cluster }) => cluster)).size).toBe(refuses);
    // Nobody that lives was tried twice, or had to wait for a pause of another.
    expect(of('backup done', 'lives')).toHaveLength(lives);

    // By now it is known who is dead: with everything due at once, none of them is in the way of anybody.
    const since = agent.lines.length;
    repository.commit('all of it again, under another policy', files('other'));
    await expect.poll(() => of('backup done', 'lives', since).length, patience).toBe(lives);
    const lines = agent.lines.slice(since);
    const begun = lines.findIndex(({ msg }) => msg === 'configuration in use');
    const first = lines.findIndex(({ msg, cluster }) => msg === 'backup done' && cluster === 'lives0');
    const between = lines.slice(begun, first).filter(({ msg }) => msg === 'backup failed');
    expect(between.filter(({ cluster }) => String(cluster).startsWith('hangs'))).toEqual([]);
    const manifests = filesIn(disk).filter((path) => path.endsWith('/manifest.json'));
    expect(manifests).toHaveLength(2 * lives);
  }, 300_000);
});
