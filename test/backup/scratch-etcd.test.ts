/** The etcd of a drill: that it is for nobody else, and that waiting for it has an end. */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:tls';
import { expect, test } from 'vitest';
import { findEtcd } from '../../src/backup/drill/binary.ts';
import { memoryFor } from '../../src/backup/drill/drill.ts';
import { clearLeftovers, ScratchFolder } from '../../src/backup/drill/scratch.ts';
import { ScratchServer } from '../../src/backup/drill/server.ts';
import { describeWith } from '../servers/describe.ts';
import { etcdVersions, toolOf } from '../servers/etcd.ts';
import { tempFolder } from '../servers/temp.ts';
import { requireTool } from '../servers/tools.ts';

const { signal } = new AbortController();

for (const version of etcdVersions) {
  describeWith([toolOf(version)], `the scratch etcd ${version}`, () => {
    test('answers whoever has its certificate, on loopback, and leaves nothing', async () => {
      using temp = tempFolder('scratch-etcd');
      const binary = await findEtcd(requireTool(toolOf(version), 'etcd'), process.env, { signal });
      {
        await using scratch = await ScratchFolder.create(temp.path, 1);
        await using server = await ScratchServer.start({
          ...{ binary, scratch, signal, dataDir: scratch.in('data'), quota: 2 ** 31, stallMs: 60_000 },
          memory: memoryFor(1),
        });
        const { port, hostname } = new URL(server.connection.endpoint);
        expect(hostname).toBe('127.0.0.1');
        expect(statSync(scratch.path).mode & 0o777).toBe(0o700);
        for (const file of ['key.pem', 'certificate.pem', 'owner.json', 'etcd.json'])
          expect(statSync(scratch.in(file)).mode & 0o777).toBe(0o600);
        // Anybody on this machine can reach the port, and must get nothing from it.
        const refused = await new Promise<string>((resolve) => {
          const socket = connect({ port: Number(port), host: hostname, rejectUnauthorized: false });
          socket.once('secureConnect', () => socket.write('GET /version HTTP/1.1\r\nHost: x\r\n\r\n'));
          socket.once('data', (data) => resolve(`answered: ${data}`));
          socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'refused'));
          socket.once('close', () => resolve('closed'));
        });
        expect(refused).not.toContain('answered');
        expect((await server.connection.status({ signal })).version).toBe(binary.version);
        const { pid } = JSON.parse(readFileSync(scratch.in('etcd.json'), 'utf8')) as { pid: number };
        const limits = readFileSync(`/proc/${pid}/limits`, 'utf8');
        expect(limits).toMatch(new RegExp(`^Max data size +${memoryFor(1)} +${memoryFor(1)} `, 'm'));
        expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).toContain(
          `GOMEMLIMIT=${Math.floor(memoryFor(1) * 0.6)}`,
        );
      }
      expect(readdirSync(temp.path)).toEqual([]);
    });
  });
}

describeWith(['etcd-3.6'], 'an etcd that meets its limit of memory', () => {
  test('says so, and speaks against nobody’s backup', async () => {
    using temp = tempFolder('scratch-etcd');
    const binary = await findEtcd(requireTool('etcd-3.6', 'etcd'), process.env, { signal });
    await using scratch = await ScratchFolder.create(temp.path, 1);
    const starting = ScratchServer.start({
      ...{ binary, scratch, signal, dataDir: scratch.in('data'), quota: 2 ** 31, stallMs: 60_000 },
      memory: 40 * 2 ** 20,
    });
    await expect(starting).rejects.toMatchObject({
      code: 'etcd-failed',
      hint: 'was there too little memory for it?',
      context: { ended: 'machine' },
    });
  });
});

test('an etcd that does nothing is not waited for', async () => {
  using temp = tempFolder('scratch-etcd');
  const path = temp.join('etcd');
  writeFileSync(
    path,
    '#!/bin/sh\n[ "$1" = --version ] && { echo "etcd Version: 3.6.0"; exit; }\nexec sleep 1000\n',
  );
  chmodSync(path, 0o755);
  const binary = await findEtcd(path, process.env, { signal });
  await using scratch = await ScratchFolder.create(temp.path, 1);
  const starting = ScratchServer.start({
    ...{ binary, scratch, signal, dataDir: scratch.in('data'), quota: 2 ** 31, stallMs: 300 },
    memory: memoryFor(1),
  });
  await expect(starting).rejects.toMatchObject({ code: 'stalled' });
});

test('a link that somebody made to look like what a killed drill left is nobody’s to clear', async () => {
  using temp = tempFolder('scratch-etcd');
  mkdirSync(temp.join('target'));
  writeFileSync(
    temp.join('target/owner.json'),
    JSON.stringify({ pid: process.pid, started: 'another time' }),
  );
  mkdirSync(temp.join('tmp'));
  const link = temp.join(`tmp/granary-drill-${crypto.randomUUID()}`);
  symlinkSync(temp.join('target'), link);
  expect(await clearLeftovers(temp.join('tmp'))).toBeNull();
  expect(lstatSync(link).isSymbolicLink()).toBe(true);
});
