/**
 * Carries the SDK's signed requests over Node's own HTTP, because the SDK's handler does not show what is needed here:
 * bytes as they move (a limit on standstill must not be one on the whole), the answer's date, and an answer that comes
 * before the body was sent. Nor does it keep connections alive across `Expect: 100-continue`.
 */
import * as http from 'node:http';
import * as https from 'node:https';
import { pipeline, Transform } from 'node:stream';
import { GranaryError } from '../../model/errors.ts';
import { exchange, type HttpBody } from './http-exchange.ts';
import { SourceRange } from './source-range.ts';

/** The parts of the SDK's request that its serializers fill. */
interface SignedRequest {
  readonly method: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number | undefined;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | string[] | null>> | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

interface SdkResponse {
  readonly statusCode: number;
  readonly headers: Record<string, string>;
  readonly body: NodeJS.ReadableStream;
}

/** Given to `client.send` with a command, and by the SDK to the transport. */
export interface SendOptions {
  readonly abortSignal: AbortSignal;
  /** Called with the bytes of the body that were handed to the network, as they go. */
  readonly onSent: (bytes: number) => void;
  /** Called when bytes of the answer's body come in. Absent where its reader sees them: of an object's own bytes. */
  readonly onReceived?: (() => void) | undefined;
  /** Called with status and header of the answer. */
  readonly onAnswer: (answer: { status: number; date: Date | null; length: number | null }) => void;
}

/** What the server should be, for whom a web page answers instead. */
export interface SpokenApi {
  /** `an S3 API` */
  readonly name: string;
  /** How to find its address. */
  readonly hint: string;
}

const s3Api: SpokenApi = {
  name: 'an S3 API',
  hint: 'the endpoint is probably a web console or a proxy: give the address of the S3 API (for MinIO port 9000, not 9001)',
};

export class HttpTransport {
  readonly metadata = { handlerProtocol: 'http/1.1' };
  readonly #httpAgent: http.Agent;
  readonly #httpsAgent: https.Agent;
  readonly #onRequest: () => void;
  readonly #api: SpokenApi;

  /** `ca`: PEM of the only authorities to trust; undefined: those of the system. `onRequest` hears of each request. */
  constructor(options: {
    ca: string | string[] | undefined;
    onRequest: () => void;
    keepAlive?: boolean;
    api?: SpokenApi;
  }) {
    this.#api = options.api ?? s3Api;
    const agent = { keepAlive: options.keepAlive ?? true, maxSockets: 50 };
    this.#httpAgent = new http.Agent(agent);
    this.#httpsAgent = new https.Agent(options.ca === undefined ? agent : { ...agent, ca: options.ca });
    this.#onRequest = options.onRequest;
  }

  async handle(signed: SignedRequest, options?: Partial<SendOptions>): Promise<{ response: SdkResponse }> {
    const signal = options?.abortSignal;
    signal?.throwIfAborted();
    this.#onRequest();
    const request = this.#open(signed);
    const message = await exchange(request, bodyOf(signed.body), { signal, onSent: options?.onSent });
    return { response: await this.#respond(request, message, options) };
  }

  destroy(): void {
    this.#httpAgent.destroy();
    this.#httpsAgent.destroy();
  }

  // The SDK sets nothing here that this transport knows.
  updateHttpClientConfig(): void {}

  httpHandlerConfigs(): Record<string, never> {
    return {};
  }

  #open(signed: SignedRequest): http.ClientRequest {
    const secure = signed.protocol === 'https:';
    return (secure ? https : http).request({
      agent: secure ? this.#httpsAgent : this.#httpAgent,
      method: signed.method,
      host: signed.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: signed.port,
      path: signed.path + queryString(signed.query ?? {}),
      headers: signed.headers,
    });
  }

  async #respond(
    request: http.ClientRequest,
    message: http.IncomingMessage,
    options: Partial<SendOptions> | undefined,
  ): Promise<SdkResponse> {
    const status = message.statusCode ?? 0;
    const type = message.headers['content-type'] ?? '';
    if (/^text\/html\b/i.test(type)) {
      request.destroy();
      throw notAnApi(status, request.host, this.#api);
    }
    const date = Date.parse(message.headers.date ?? '');
    const length = message.headers['content-length'];
    options?.onAnswer?.({
      status,
      date: Number.isNaN(date) ? null : new Date(date),
      length: length === undefined ? null : Number(length),
    });
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(message.headers)) {
      if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value;
    }
    const onReceived = options?.onReceived;
    const body = onReceived === undefined ? message : reporting(message, onReceived);
    return { statusCode: status, headers, body };
  }
}

/** What the SDK gives as a body, where it has bytes. */
function bodyOf(given: unknown): Uint8Array | HttpBody | null {
  if (typeof given === 'string') return Buffer.from(given);
  return given instanceof Uint8Array || given instanceof SourceRange ? given : null;
}

function reporting(message: http.IncomingMessage, onReceived: () => void): NodeJS.ReadableStream {
  const passing = new Transform({
    transform(chunk, _encoding, done) {
      onReceived();
      done(null, chunk);
    },
  });
  // A broken answer destroys `passing` with its error, which is what its reader sees.
  pipeline(message, passing, () => {});
  return passing;
}

/** S3 and Azure answer in XML. A page is from a console or a proxy; a proxy's 5xx only says that its server is away. */
function notAnApi(status: number, host: string, api: SpokenApi): GranaryError {
  if (status === 429 || status >= 500) {
    return new GranaryError('store-busy', `${host} answered ${status} with a web page`, {
      hint: 'the proxy in front of the store does not reach it, or holds requests back; try again later',
      context: { status },
    });
  }
  if (status === 413) {
    return new GranaryError('store-misconfigured', `a proxy at ${host} limits the size of requests (413)`, {
      hint: 'let the proxy pass bodies of 64 MiB (nginx: client_max_body_size)',
      context: { status },
    });
  }
  return new GranaryError(
    'store-misconfigured',
    `${host} answered ${status} with a web page, not as ${api.name}`,
    { hint: api.hint, context: { status } },
  );
}

function queryString(query: Readonly<Record<string, string | string[] | null>>): string {
  const parts = Object.entries(query).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one) => `${uriEscape(name)}=${uriEscape(one ?? '')}`),
  );
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}

/** As the signature escapes it: RFC 3986, which also escapes what `encodeURIComponent` leaves. */
function uriEscape(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
