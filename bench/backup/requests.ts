/** Counts what a client asks an S3 server for, by standing between them. */
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { requestInWords } from '../../test/store/request-words.ts';

export interface CountingProxy extends AsyncDisposable {
  readonly endpoint: string;
  /** Each request since the last call, in order, as `PUT data-….db.zst`. */
  take(): string[];
}

/** Passes everything on unchanged, the Host header too: it is part of the signature. */
export async function startCountingProxy(target: string): Promise<CountingProxy> {
  const { hostname, port } = new URL(target);
  let seen: string[] = [];
  const server = createServer((incoming, outgoing) => {
    seen.push(requestInWords(incoming.method ?? '', incoming.url ?? ''));
    const { method, url: path, headers } = incoming;
    const passed = request({ hostname, port, method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    passed.on('continue', () => outgoing.writeContinue());
    incoming.pipe(passed);
  });
  // Without a listener of its own Node would answer `Expect: 100-continue` for the server behind.
  server.on('checkContinue', (incoming, outgoing) => server.emit('request', incoming, outgoing));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    take: () => {
      const taken = seen;
      seen = [];
      return taken;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
