/** Carries requests to the JSON API and to a token endpoint, and reads what they answer as JSON. */
import * as http from 'node:http';
import * as https from 'node:https';
import { GcsRefusal } from './gcs-errors.ts';
import { exchange, type HttpBody } from './http-exchange.ts';

export interface GcsRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** With the query. */
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: Uint8Array | HttpBody | undefined;
}

export interface SendOptions {
  readonly signal: AbortSignal;
  /** Called with the bytes of the request's body as they go. */
  readonly onSent?: ((bytes: number) => void) | undefined;
  /** Called when bytes of an answer come that is read here. */
  readonly moved?: (() => void) | undefined;
}

export interface GcsAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  /** The store's clock. */
  readonly storeTime: Date | null;
  /** Not read yet: whoever gets an answer reads it to its end or destroys it, which frees the connection. */
  readonly body: http.IncomingMessage;
}

/** More than any answer that is read as a whole: a page of a listing has up to 1,000 names of up to 1,024 bytes. */
const maxTextBytes = 16 * 2 ** 20;

export class GcsTransport {
  readonly #httpAgent = new http.Agent({ keepAlive: true, maxSockets: 50 });
  readonly #httpsAgent = new https.Agent({ keepAlive: true, maxSockets: 50 });
  readonly #onRequest: () => void;

  /** `onRequest` hears of each request. */
  constructor(onRequest: () => void) {
    this.#onRequest = onRequest;
  }

  /** Sends one request, and no other whatever comes of it. Rejects with Node's errors, or after an abort with any. */
  async send({ method, url, headers, body }: GcsRequest, options: SendOptions): Promise<GcsAnswer> {
    options.signal.throwIfAborted();
    this.#onRequest();
    const secure = url.protocol === 'https:';
    const request = (secure ? https : http).request(url, {
      agent: secure ? this.#httpsAgent : this.#httpAgent,
      method,
      headers: { ...headers, ...(method !== 'GET' && { 'content-length': body?.length ?? 0 }) },
    });
    const message = await exchange(request, body ?? null, options);
    const date = Date.parse(message.headers.date ?? '');
    return {
      status: message.statusCode ?? 0,
      headers: message.headers,
      storeTime: Number.isNaN(date) ? null : new Date(date),
      body: message,
    };
  }

  destroy(): void {
    this.#httpAgent.destroy();
    this.#httpsAgent.destroy();
  }
}

/** Reads an answer to its end. */
export async function textOf(answer: GcsAnswer, { moved }: Pick<SendOptions, 'moved'>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer.body as AsyncIterable<Buffer>) {
    moved?.();
    bytes += chunk.length;
    if (bytes > maxTextBytes) throw new GcsRefusal(answer.status, 'notTheApi', 'an answer without end');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** Fields of an object in JSON; null where the text is none. */
export function parseObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What a web page means in the place of an answer; null where it is none. The API itself answers in JSON or plain text. */
export function pageRefusal({ status, headers }: GcsAnswer): GcsRefusal | null {
  if (!/^text\/html\b/i.test(headers['content-type'] ?? '')) return null;
  // A proxy's 5xx only says that its server is away.
  if (status === 429 || status >= 500) return new GcsRefusal(status, '', `${status} with a web page`);
  if (status === 413) return new GcsRefusal(status, 'bodyTooLarge', 'the request is too large');
  return new GcsRefusal(status, 'notTheApi', `${status} with a web page`);
}
