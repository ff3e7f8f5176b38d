/** A look at an endpoint that hung up: `http://` and `https://` are easily mistaken, and etcd says nothing of it. */
import { connect as connectTls } from 'node:tls';
import { openSession } from './http2-call.ts';
import type { Endpoint } from './target.ts';

const lookMs = 2_000;

/** True where an `http` endpoint answers TLS, or an `https` one plain HTTP/2. Nothing is sent but what opens a connection. */
export async function speaksOtherScheme(endpoint: Endpoint, signal: AbortSignal): Promise<boolean> {
  return endpoint.secure ? speaksHttp2(endpoint, signal) : speaksTls(endpoint, signal);
}

async function speaksHttp2(endpoint: Endpoint, signal: AbortSignal): Promise<boolean> {
  const plain = { ...endpoint, secure: false, url: endpoint.url.replace(/^https:/, 'http:') };
  try {
    (await openSession(plain, null, { signal, stallMs: lookMs })).destroy();
    return true;
  } catch {
    return false;
  }
}

function speaksTls({ host, port }: Endpoint, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    // Whose certificate it is does not matter here: the connection carries nothing and ends with the handshake.
    const socket = connectTls({ host, port, rejectUnauthorized: false, timeout: lookMs });
    const end = (spoken: boolean) => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      resolve(spoken);
    };
    const onAbort = () => end(false);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('secureConnect', () => end(true));
    socket.once('timeout', () => end(false));
    // An alert is TLS too.
    socket.once('error', (error) => end(/alert/.test(error.message)));
  });
}
