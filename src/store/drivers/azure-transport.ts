/** Carries the requests of Azure's SDK over the transport that S3 has; docs/decisions/azure.md says why. */
import type { HttpOperationResponse, IHttpClient, WebResource } from '@azure/storage-blob';
import { HttpTransport } from './http-transport.ts';
import { SourceRange } from './source-range.ts';

/** What hears of a request's bytes. */
export interface Watcher {
  /** Called with the bytes of the body that were handed to the network, as they go. */
  readonly onSent?: ((bytes: number) => void) | undefined;
  /** Called when bytes of the answer come, but for an object's own, whose reader sees them. */
  readonly moved?: (() => void) | undefined;
}

/** From this size on a server may refuse a body before it is sent. A round trip costs more than smaller bodies do. */
const expectContinueBytes = 2 ** 20;

export class AzureTransport implements IHttpClient {
  readonly #transport: HttpTransport;
  /** By the signal of the request: the SDK hands it through, and nothing else of ours. */
  readonly #watchers = new WeakMap<object, Watcher>();

  constructor(options: { ca: string | undefined; onRequest: () => void }) {
    const api = {
      name: 'the Blob service of Azure',
      hint: 'the endpoint is probably a web page or a proxy: give the address of the Blob service, which has `blob` in its name',
    };
    this.#transport = new HttpTransport({ ...options, api });
  }

  /** Whoever sends a request with this signal, which must be no other request's, has it watched. */
  watch(signal: AbortSignal, watcher: Watcher): void {
    this.#watchers.set(signal, watcher);
  }

  async sendRequest(request: WebResource): Promise<HttpOperationResponse> {
    const url = new URL(request.url);
    const signal = request.abortSignal;
    const watcher = (signal === undefined ? undefined : this.#watchers.get(signal)) ?? {};
    const body: unknown = typeof request.body === 'function' ? request.body() : request.body;
    const { response } = await this.#transport.handle(
      {
        ...{ method: request.method, protocol: url.protocol, hostname: url.hostname },
        ...(url.port !== '' && { port: Number(url.port) }),
        path: url.pathname + url.search,
        headers: { ...request.headers.toJson({ preserveCase: true }), ...expectation(body) },
        body,
      },
      {
        ...(signal instanceof AbortSignal && { abortSignal: signal }),
        onSent: watcher.onSent ?? (() => {}),
        onAnswer: watcher.moved ?? (() => {}),
      },
    );
    const answer = { request, status: response.statusCode, headers: headersOf(request, response.headers) };
    const isStream = request.streamResponseStatusCodes?.has(response.statusCode) ?? false;
    return isStream
      ? { ...answer, readableStreamBody: response.body }
      : { ...answer, bodyAsText: await textOf(response.body, watcher.moved) };
  }

  destroy(): void {
    this.#transport.destroy();
  }
}

/** As the SDK takes a body that it is not to look at: reaches the transport as it is. */
export function asBody(body: Uint8Array | SourceRange): () => NodeJS.ReadableStream {
  return () => body as unknown as NodeJS.ReadableStream;
}

function expectation(body: unknown): Record<string, string> {
  const sent = body instanceof SourceRange || body instanceof Uint8Array ? body.length : 0;
  return sent >= expectContinueBytes ? { expect: '100-continue' } : {};
}

/** The SDK exports the type of headers but none to make; those of a request are made over. */
function headersOf(request: WebResource, values: Record<string, string>): HttpOperationResponse['headers'] {
  const headers = request.headers.clone();
  for (const name of headers.headerNames()) headers.remove(name);
  for (const [name, value] of Object.entries(values)) headers.set(name, value);
  return headers;
}

async function textOf(stream: NodeJS.ReadableStream, moved: () => void = () => {}): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) {
    moved();
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}
