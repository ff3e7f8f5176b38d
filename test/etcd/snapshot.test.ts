import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import { connect, createServer as createTcpServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { connectMember } from '../../src/etcd/connection.ts';
import { put } from '../../src/etcd/kv.ts';
import { describeWith } from '../servers/describe.ts';
import { etcdVersions, installedEtcdVersions, startEtcd, toolOf } from '../servers/etcd.ts';
import { tempFolder } from '../servers/temp.ts';
import { connectTo, cuttingProxy, failureOf, fill, never, readAll, targetOf } from './support.ts';

const signal = never;
const stallMs = 10_000;
/** Long enough for a busy machine to answer within it, short enough to wait for. */
const frozenMs = 2_000;
/** More than all buffers between etcd and us hold: a reader that waits is felt by the server. */
const moreThanBuffers = 48;

for (const version of etcdVersions) {
  describeWith([toolOf(version)], `a snapshot of etcd ${version}`, () => {
    test('is the database with its hash, as etcdctl saves it', async () => {
      await using etcd = await startEtcd({ version });
      using folder = tempFolder('snapshot');
      using member = await connectTo(targetOf(etcd));
      await fill(member, 3);
      const sizes: number[] = [];
      const ours = await readAll(member.snapshot({ signal, stallMs, onSize: (bytes) => sizes.push(bytes) }));
      expect(sizes).toEqual([ours.length - 32]);
      expect(ours.length % 512).toBe(32);
      const hash = createHash('sha256').update(ours.subarray(0, -32)).digest();
      expect(ours.subarray(-32).equals(hash)).toBe(true);

      // Not byte by byte: from 3.5 on each snapshot commits a transaction first, which changes a few pages of bookkeeping.
      await writeFile(folder.join('ours.db'), ours);
      await etcd.etcdctl('snapshot', 'save', folder.join('theirs.db'));
      const status = (file: string) => etcd.etcdutl('snapshot', 'status', folder.join(file), '-w', 'json');
      expect(JSON.parse(await status('ours.db'))).toEqual(JSON.parse(await status('theirs.db')));
    });

    test('fails when etcd is killed in mid-stream', async () => {
      await using etcd = await startEtcd({ version });
      using member = await connectTo(targetOf(etcd));
      await fill(member, moreThanBuffers);
      const failure = await failureOf(
        readWith(member.snapshot({ signal, stallMs }), () => void etcd.members[0]?.kill('SIGKILL')),
      );
      expect(failure.code).toBe('snapshot-truncated');
      expect(failure.message).toContain(`the snapshot from ${etcd.endpoints[0]} broke off after`);
    });

    test('fails as stalled when etcd freezes in mid-stream, and so does a call', async () => {
      await using etcd = await startEtcd({ version });
      using member = await connectTo(targetOf(etcd));
      await fill(member, moreThanBuffers);
      const [server] = etcd.members;
      try {
        const failure = await failureOf(
          readWith(member.snapshot({ signal, stallMs: frozenMs }), () => void server?.kill('SIGSTOP')),
        );
        expect(failure.code).toBe('stalled');
        expect(failure.message).toBe(
          `could not read a snapshot at ${etcd.endpoints[0]}: etcd sent nothing for 2.0 s`,
        );
        const late = await failureOf(member.status({ signal, timeoutMs: frozenMs }));
        expect(late.code).toBe('etcd-unreachable');
        expect(late.message).toContain('did not answer in time');
        const fresh = await failureOf(connectTo(targetOf(etcd), frozenMs));
        expect(fresh.code).toBe('etcd-unreachable');
        // The kernel still takes connections for a frozen process.
        expect((await failureOf(readAll(member.snapshot({ signal, stallMs: frozenMs })))).code).toBe(
          'stalled',
        );
      } finally {
        server?.kill('SIGCONT');
      }
      expect((await readAll(member.snapshot({ signal, stallMs }))).length % 512).toBe(32);
    });

    test('ends with the reason when it is aborted, and leaves the connection usable', async () => {
      await using etcd = await startEtcd({ version });
      using member = await connectTo(targetOf(etcd));
      await fill(member, moreThanBuffers);
      const controller = new AbortController();
      const reason = new Error('enough');
      const reading = readWith(member.snapshot({ signal: controller.signal, stallMs }), () =>
        controller.abort(reason),
      );
      await expect(reading).rejects.toBe(reason);
      await expect(readAll(member.snapshot({ signal: controller.signal, stallMs }))).rejects.toBe(reason);
      for await (const piece of member.snapshot({ signal, stallMs })) {
        expect(piece.length).toBeGreaterThan(0);
        break;
      }
      expect((await readAll(member.snapshot({ signal, stallMs }))).length % 512).toBe(32);
    });

    test('never holds much more than its window for a reader that waits', async () => {
      await using etcd = await startEtcd({ version });
      using member = await connectTo(targetOf(etcd));
      await fill(member, moreThanBuffers);
      await using proxy = await cuttingProxy(etcd.endpoints[0] ?? '');
      using through = await connectTo(targetOf(etcd, { endpoints: [proxy.endpoint] }));
      const snapshot = through.snapshot({ signal, stallMs: frozenMs });
      const first = await snapshot.next();
      expect(first.done).toBe(false);
      let before = -1;
      // Until nothing moves any more: also longer than the stall limit, which a slow reader is no case of.
      while (before !== proxy.passed()) {
        before = proxy.passed();
        await delay(frozenMs);
      }
      expect(proxy.passed()).toBeLessThan(24 * 2 ** 20);
      const rest = await readAll(snapshot);
      expect((rest.length + (first.value?.length ?? 0)) % 512).toBe(32);
    });

    test('cut at any byte it is an error, never a short success', async () => {
      await using etcd = await startEtcd({ version });
      await using proxy = await cuttingProxy(etcd.endpoints[0] ?? '');
      using member = await connectTo(targetOf(etcd, { endpoints: [proxy.endpoint] }));
      await put(member, 'a', new Uint8Array(100_000), { signal });
      const whole = await readAll(member.snapshot({ signal, stallMs }));
      const total = proxy.passed();
      expect(total).toBeGreaterThan(whole.length);
      const places = [0, 1, 9, 100, total - 1, total - 2, total - 10, total - 60];
      for (let index = 1; index < 24; index++) places.push(Math.floor((total * index) / 24));
      for (const how of ['reset', 'end'] as const) {
        for (const bytes of places) {
          proxy.cutAfter(bytes, how);
          const failure = await failureOf(readAll(member.snapshot({ signal, stallMs })));
          expect(
            ['snapshot-truncated', 'etcd-unreachable'],
            `${how} after ${bytes}: ${failure.message}`,
          ).toContain(failure.code);
        }
      }
      proxy.cutAfter(null);
      expect((await readAll(member.snapshot({ signal, stallMs }))).length).toBe(whole.length);
    });
  });
}

const [anyVersion] = installedEtcdVersions();

describeWith([toolOf(anyVersion ?? '3.4')], 'a name that several members answer', () => {
  test('gives no snapshot of another member than the one that was asked', async () => {
    await using one = await startEtcd({ version: anyVersion ?? '3.4' });
    await using other = await startEtcd({ version: anyVersion ?? '3.4' });
    await using balancer = await switchingProxy(one.endpoints[0] ?? '', other.endpoints[0] ?? '');
    const target = targetOf(one, { endpoints: [balancer.endpoint] });
    using member = await connectMember(target, balancer.endpoint, { signal });
    const failure = await failureOf(readAll(member.snapshot({ signal, stallMs })));
    expect(failure.code).toBe('etcd-failed');
    expect(failure.message).toContain('is answered by more than one member');
  });
});

describe('a server that is not quite etcd', () => {
  test('one that sends empty messages for ever is given up', async () => {
    await using server = await pretender(async (send) => {
      send(4_096, new Uint8Array(512));
      for (let count = 0; count < 50; count++) send(4_096, new Uint8Array(0));
    });
    const failure = await failureOf(readAll(await server.snapshot()));
    expect(failure.code).toBe('snapshot-truncated');
    expect(failure.message).toContain('empty messages');
  });

  test('one that says "done" too early is not believed', async () => {
    await using server = await pretender(async (send, done) => {
      send(4_096, new Uint8Array(512));
      done('0');
    });
    expect((await failureOf(readAll(await server.snapshot()))).code).toBe('snapshot-truncated');
  });

  test('one that sends all and then fails is not believed either', async () => {
    await using server = await pretender(async (send, done) => {
      send(0, new Uint8Array(512));
      send(0, new Uint8Array(32));
      done('13', 'disk on fire');
    });
    const failure = await failureOf(readAll(await server.snapshot()));
    expect(failure.code).toBe('snapshot-truncated');
    expect(failure.message).toContain('disk on fire');
  });

  test('one that goes silent stalls', async () => {
    await using server = await pretender(async (send) => {
      send(4_096, new Uint8Array(512));
    });
    expect((await failureOf(readAll(await server.snapshot(200)))).code).toBe('stalled');
  });

  test('one that sends all and then says nothing more stalls', async () => {
    await using server = await pretender(async (send) => {
      send(0, new Uint8Array(512));
      send(0, new Uint8Array(32));
    });
    expect((await failureOf(readAll(await server.snapshot(200)))).code).toBe('stalled');
  });

  test('one that does what etcd does is believed', async () => {
    await using server = await pretender(async (send, done) => {
      send(512, new Uint8Array(512));
      send(0, new Uint8Array(512));
      send(0, new Uint8Array(32));
      done('0');
    });
    expect((await readAll(await server.snapshot())).length).toBe(1_056);
  });
});

/** Reads on, and does something after the first piece. */
async function readWith(stream: AsyncIterable<Uint8Array>, afterFirst: () => void): Promise<void> {
  let first = true;
  for await (const _piece of stream) {
    if (first) afterFirst();
    first = false;
  }
}

/** The first connection goes to one server, all others to another. */
async function switchingProxy(first: string, then: string) {
  let count = 0;
  const sockets = new Set<{ destroy(): void }>();
  const server = createTcpServer((client) => {
    const upstream = connect({ host: '127.0.0.1', port: Number(new URL(count++ === 0 ? first : then).port) });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

type Send = (remaining: number, blob: Uint8Array) => void;
type Done = (status: string, message?: string) => void;

/** A gRPC server that answers every call but Snapshot with an empty message, and Snapshot as the test says. */
async function pretender(snapshot: (send: Send, done: Done) => Promise<void>) {
  const server: Http2Server = createServer();
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => {});
  });
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {});
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    let status: Record<string, string> = { 'grpc-status': '0' };
    stream.on('wantTrailers', () => stream.sendTrailers(status));
    if (!String(headers[':path']).endsWith('/Snapshot')) {
      stream.end(Buffer.alloc(5));
      return;
    }
    const send: Send = (remaining, blob) => {
      const body = Buffer.concat([
        Buffer.of(0x10, (remaining & 0x7f) | 0x80, remaining >> 7),
        Buffer.of(0x1a, (blob.length & 0x7f) | 0x80, blob.length >> 7),
        blob,
      ]);
      const prefix = Buffer.alloc(5);
      prefix.writeUInt32BE(body.length, 1);
      stream.write(Buffer.concat([prefix, body]));
    };
    const done: Done = (code, message) => {
      status = {
        'grpc-status': code,
        ...(message === undefined ? {} : { 'grpc-message': encodeURIComponent(message) }),
      };
      stream.end();
    };
    void snapshot(send, done);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  const endpoint = `http://127.0.0.1:${address.port}`;
  const target = { name: 'eu-west/prod-a', endpoints: [endpoint], tls: null, auth: null };
  const member = await connectMember(target, endpoint, { signal });
  return {
    snapshot: async (limit = stallMs) => member.snapshot({ signal, stallMs: limit }),
    [Symbol.asyncDispose]: async () => {
      member.close();
      for (const session of sessions) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
