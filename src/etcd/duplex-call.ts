/** A call whose answers keep coming, over grpc-js. */
import { type Client, type ClientDuplexStream, Metadata } from '@grpc/grpc-js';
import type { Method } from './protocol.ts';

export interface DuplexOptions {
  readonly signal: AbortSignal;
  /** Milliseconds for all of it; null: no limit. */
  readonly limitMs: number | null;
}

/** Sends one request and gives the answers. To leave it early cancels it; throws what grpc-js does. */
export async function* duplexCall<Request, Response>(
  client: Client,
  method: Method<Request, Response>,
  request: Request,
  token: string | null,
  { signal, limitMs }: DuplexOptions,
): AsyncGenerator<Response, void, undefined> {
  signal.throwIfAborted();
  const metadata = new Metadata();
  if (token !== null) metadata.set('token', token);
  const call: ClientDuplexStream<Request, Response> = client.makeBidiStreamRequest(
    method.path,
    (value: Request) => method.encode(value),
    (bytes: Buffer) => method.decode(bytes),
    metadata,
    limitMs === null ? {} : { deadline: Date.now() + limitMs },
  );
  // Once it is cancelled nobody waits for it any more, and it fails all the same.
  call.on('error', () => {});
  const onAbort = () => call.cancel();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    call.write(request);
    yield* call as AsyncIterable<Response>;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
    call.cancel();
  }
}
