/** Stands between us and a real etcd: every call goes through as it is, but what a snapshot holds is the test's choice. */
import {
  connect,
  createServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { SnapshotFrames } from '../../src/etcd/snapshot-frames.ts';

export interface Sender {
  /** One message of the stream. @param remaining bytes that are said to be still to come */
  send(remaining: number, blob: Uint8Array): void;
  /** Ends the stream; without this it stays open. */
  done(status?: number): void;
  readonly closed: boolean;
}

/** @param whole the real snapshot, its hash included */
export type Meddle = (whole: Buffer, sender: Sender) => void | Promise<void>;

export interface Meddler extends AsyncDisposable {
  readonly endpoint: string;
  /** What happens with snapshots from now on. */
  meddle: Meddle;
  /** Snapshots that were asked for. */
  snapshots: number;
}

const snapshotPath = '/etcdserverpb.Maintenance/Snapshot';

export async function startMeddler(etcd: string): Promise<Meddler> {
  const upstream = connect(etcd);
  upstream.on('error', () => {});
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => {});
  });
  const meddler: Meddler = {
    endpoint: '',
    meddle: sendWhole,
    snapshots: 0,
    [Symbol.asyncDispose]: async () => {
      upstream.destroy();
      for (const session of sessions) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {});
    const path = String(headers[':path']);
    if (path === snapshotPath) meddler.snapshots += 1;
    void relay(stream, headers, path === snapshotPath ? (whole, to) => meddler.meddle(whole, to) : null);
  });

  async function relay(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, meddle: Meddle | null) {
    const asked: OutgoingHttpHeaders = { ':method': 'POST' };
    for (const name of [':path', 'content-type', 'te', 'token']) {
      if (headers[name] !== undefined) asked[name] = headers[name];
    }
    const call = upstream.request(asked);
    call.on('error', () => stream.destroy());
    stream.pipe(call);
    let status: IncomingHttpHeaders = { 'grpc-status': '0' };
    call.on('trailers', (trailers) => {
      status = trailers;
    });
    // An answer that is an error only has it in its headers.
    call.on('response', (response) => {
      if (response['grpc-status'] !== undefined) status = response;
    });
    const answer: Buffer[] = [];
    for await (const piece of call) answer.push(piece as Buffer);
    if (stream.destroyed) return;
    stream.on('wantTrailers', () =>
      stream.sendTrailers({
        'grpc-status': String(status['grpc-status'] ?? 0),
        ...(status['grpc-message'] === undefined ? {} : { 'grpc-message': String(status['grpc-message']) }),
      }),
    );
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    if (meddle === null) stream.end(Buffer.concat(answer));
    else {
      await meddle(Buffer.concat(new SnapshotFrames().push(Buffer.concat(answer))), {
        send: (remaining, blob) => stream.write(framed(remaining, blob)),
        done: (code = 0) => {
          status = { 'grpc-status': String(code) };
          stream.end();
        },
        get closed() {
          return stream.destroyed;
        },
      });
    }
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the meddler has no port');
  return Object.assign(meddler, { endpoint: `http://127.0.0.1:${address.port}` });
}

/** As etcd does: 32 KiB at a time, then the hash. */
export const sendWhole: Meddle = (whole, sender) =>
  sendBytes(whole.subarray(0, -32), whole.subarray(-32), sender);

/** A database and what is said to be its hash, in the way of etcd. */
export function sendBytes(database: Uint8Array, hash: Uint8Array, { send, done }: Sender): void {
  const size = 32 * 1024;
  for (let at = 0; at < database.length; at += size)
    send(Math.max(0, database.length - at - size), database.subarray(at, at + size));
  if (hash.length > 0) send(0, hash);
  done();
}

/** `SnapshotResponse{remaining_bytes = 2, blob = 3}` as one gRPC message. */
function framed(remaining: number, blob: Uint8Array): Buffer {
  const head = [...(remaining === 0 ? [] : [0x10, ...varint(remaining)]), 0x1a, ...varint(blob.length)];
  const body = Buffer.concat([Buffer.from(head), blob]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(body.length, 1);
  return Buffer.concat([prefix, body]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let left = value;
  while (left >= 0x80) {
    bytes.push((left % 0x80) + 0x80);
    left = Math.floor(left / 0x80);
  }
  return [...bytes, left];
}
