import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runAgent } from '../../src/agent/agent.ts';
import { openToAll } from '../../src/agent/http.ts';
import { createLog } from '../../src/agent/log.ts';
import { openSource } from '../../src/git/source.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { connectKv } from '../servers/kv-client.ts';
import { tempFolder } from '../servers/temp.ts';
import { startGate } from './gate.ts';
import { configuration } from './world.ts';

describeWith(['etcd-3.4'], 'an agent that is told to end', () => {
  let etcd: EtcdServer;
  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.4' });
    using client = await connectKv(etcd);
    const value = Buffer.alloc(1_000_000, 'a value ');
    for (let key = 0; key < 8; key++) await client.putAll([{ key: Buffer.from(`key-${key}`), value }]);
  });
  afterAll(() => etcd.stop());

  test('aborts what does not end in time, and nothing of it stays', async () => {
    using temp = tempFolder('drain');
    const [disk, folder, spool] = [temp.join('disk'), temp.join('config'), temp.join('spool')];
    for (const path of [disk, folder, spool]) mkdirSync(path);
    await using gate = await startGate(etcd.endpoints[0] ?? '', 500_000);
    const files = configuration({ seeds: { eu: { prod: gate.endpoint } }, disk });
    writeFileSync(temp.join('config', 'all.yaml'), Object.values(files).join('---\n'));
    const lines: { msg: string }[] = [];
    const drain = new AbortController();
    const ended = runAgent(
      {
        openSource: async (signal) =>
          Object.assign(await openSource({ path: folder }, { signal }), {
            [Symbol.asyncDispose]: async () => {},
          }),
        identities: { keys: [], plugins: [], notes: [] },
        seed: null,
        intervalMs: 60_000,
        listen: { host: '127.0.0.1', port: 0 },
        access: openToAll,
        stateFolder: null,
        log: createLog({ write: (line) => lines.push(JSON.parse(line)), terminal: false, color: false }),
        drainMs: 50,
        spoolFolder: spool,
      },
      drain.signal,
    );
    await Promise.race([gate.held, ended]);
    drain.abort();
    await ended;
    expect(lines.map(({ msg }) => msg)).toEqual([
      'agent started',
      'configuration in use',
      'destination ready',
      'planned',
      'draining',
      'aborting what still runs',
      'action aborted',
      'agent ended',
    ]);
    expect(lines.find(({ msg }) => msg === 'action aborted')).toMatchObject({
      seed: 'eu',
      error: { code: 'interrupted' },
    });
    const left = readdirSync(disk, { recursive: true, withFileTypes: true });
    const names = left.filter((entry) => entry.isFile()).map(({ name }) => name);
    // What it found of the destination may be written down already, or not.
    expect(names.filter((name) => name !== 'status.json')).toEqual(['granary.json']);
    expect(readdirSync(spool)).toEqual([]);
  });
});
