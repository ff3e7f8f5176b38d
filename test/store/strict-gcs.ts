/**
 * The part of the JSON API of Google Cloud Storage that Granary uses, in this process, as its documentation has it. It
 * is strict where fake-gcs-server is not: tokens, conditions, the offsets of resumable uploads, checksums at their end,
 * parameters that nobody knows. Written from https://cloud.google.com/storage/docs/json_api/v1 and
 * https://cloud.google.com/storage/docs/performing-resumable-uploads; never compared with Google itself.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import { crc32c } from '@node-rs/crc32';
import { encodeCrc32c } from '../../src/store/drivers/checksum.ts';
import type { GoogleIdentity } from './google-identity.ts';

interface StoredBytes {
  readonly bytes: Buffer;
  readonly generation: string;
  readonly updated: Date;
  readonly storageClass: string;
}

interface Session {
  readonly bucket: string;
  readonly name: string;
  readonly ifGenerationMatch: string | null;
  readonly storageClass: string;
  readonly parts: Buffer[];
  size: number;
  finished: StoredBytes | null;
}

interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object | string | Buffer;
}

/** What an upload keeps is counted in these, and so are its chunks. */
const granule = 256 * 1024;
const known = new Set([
  ...['uploadType', 'upload_id', 'name', 'ifGenerationMatch', 'fields', 'alt', 'generation'],
  ...['prefix', 'pageToken', 'maxResults'],
]);

class Refused extends Error {
  readonly reply: Reply;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.reply = {
      status,
      body: { error: { code: status, message, errors: [{ domain: 'global', reason, message }] } },
    };
  }
}

export class StrictGcs implements AsyncDisposable {
  readonly identity: GoogleIdentity;
  readonly buckets = new Map<string, Map<string, StoredBytes>>();
  readonly sessions = new Map<string, Session>();
  /** Permissions that the account lacks. */
  readonly denied = new Set<string>();
  /** Names of objects that a retention policy holds. */
  readonly held = new Set<string>();
  /** Whether a chunk that is cut off leaves what came of it. Google promises neither. */
  keepsPartial = true;
  /** Bytes that are stored differ from those that came. */
  corrupts = false;
  #generation = Date.now() * 1_000;
  /** By id of the upload: ends when its last request was received and dealt with. */
  readonly #receiving = new Map<string, Promise<void>>();
  readonly #server: http.Server;

  private constructor(identity: GoogleIdentity) {
    this.identity = identity;
    this.#server = http.createServer((request, response) => void this.#handle(request, response));
  }

  static async start(identity: GoogleIdentity): Promise<StrictGcs> {
    const strict = new StrictGcs(identity);
    strict.#server.listen(0, '127.0.0.1');
    await once(strict.#server, 'listening');
    return strict;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Uploads that are under way. */
  get open(): number {
    return [...this.sessions.values()].filter(({ finished }) => finished === null).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #handle(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', this.endpoint);
    const upload = url.searchParams.get('upload_id') ?? '';
    // Who asks how far an upload is may be faster than the news that its last chunk was cut off.
    if (/^bytes \*/.test(request.headers['content-range'] ?? '')) await this.#receiving.get(upload);
    const received = Promise.withResolvers<void>();
    this.#receiving.set(upload, received.promise);
    const chunks: Buffer[] = [];
    let whole = true;
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      whole = false;
    }
    let reply: Reply;
    try {
      reply = this.#reply(request, url, Buffer.concat(chunks), whole);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      reply = error.reply;
    } finally {
      received.resolve();
    }
    if (!whole) return;
    const { status, headers, body = '' } = reply;
    const isJson = typeof body === 'object' && !Buffer.isBuffer(body);
    const bytes = isJson ? Buffer.from(JSON.stringify(body)) : Buffer.from(body as string | Buffer);
    const type = isJson ? 'application/json; charset=UTF-8' : 'text/plain';
    response
      .writeHead(status, { 'content-type': type, 'content-length': bytes.length, ...headers })
      .end(bytes);
  }

  #reply(request: http.IncomingMessage, url: URL, body: Buffer, whole: boolean): Reply {
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    if (!this.identity.accepts(token)) throw new Refused(401, 'authError', 'Invalid Credentials');
    for (const name of url.searchParams.keys()) {
      if (!known.has(name)) throw new Refused(400, 'invalidParameter', `Unknown parameter: ${name}`);
    }
    const [, upload, bucket = '', path] =
      /^(\/upload)?\/storage\/v1\/b\/([^/]+)\/o(?:\/([^/]+))?$/.exec(url.pathname) ?? [];
    const name = path === undefined ? null : decodeURIComponent(path);
    const place = decodeURIComponent(bucket);
    if (upload !== undefined) return this.#upload(request, url, place, body, whole);
    if (!whole) throw new Refused(400, 'badRequest', 'the body broke off');
    if (request.method === 'GET' && name === null) return this.#list(place, url.searchParams);
    if (request.method === 'GET' && name !== null) return this.#get(request, url, place, name);
    if (request.method === 'DELETE' && name !== null) return this.#delete(url, place, name);
    throw new Refused(404, 'notFound', 'Not Found');
  }

  #upload(request: http.IncomingMessage, url: URL, bucket: string, body: Buffer, whole: boolean): Reply {
    const id = url.searchParams.get('upload_id');
    if (id !== null) {
      const session = this.sessions.get(id);
      if (session === undefined) throw new Refused(404, 'notFound', 'Not Found');
      if (request.method === 'PUT') return this.#chunk(request, session, id, body, whole);
      this.sessions.delete(id);
      return { status: 499, body: 'Client Closed Request' };
    }
    if (!whole) throw new Refused(400, 'badRequest', 'the body broke off');
    this.#require('storage.objects.create');
    const ifGenerationMatch = url.searchParams.get('ifGenerationMatch');
    if (url.searchParams.get('uploadType') === 'multipart') {
      const { metadata, bytes } = related(request.headers['content-type'] ?? '', body);
      const name = String(metadata.name);
      this.#checkCrc(metadata.crc32c, bytes);
      return this.#resource(name, this.#store(bucket, name, bytes, ifGenerationMatch, metadata.storageClass));
    }
    const metadata = JSON.parse(body.toString()) as Record<string, string>;
    const name = String(metadata.name);
    this.#checkCondition(this.#objects(bucket), name, ifGenerationMatch);
    const uploadId = randomUUID();
    const storageClass = metadata.storageClass ?? 'STANDARD';
    this.sessions.set(uploadId, {
      ...{ bucket, name, ifGenerationMatch, storageClass, parts: [], size: 0, finished: null },
    });
    // Google's own address: whoever follows it leaves the endpoint.
    const location = `https://storage.invalid${url.pathname}?uploadType=resumable&upload_id=${uploadId}`;
    return { status: 200, headers: { location } };
  }

  #chunk(request: http.IncomingMessage, session: Session, id: string, body: Buffer, whole: boolean): Reply {
    if (session.finished !== null) return this.#resource(session.name, session.finished);
    const said = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(request.headers['content-range'] ?? '');
    if (said === null) throw new Refused(400, 'badRequest', 'Failed to parse Content-Range header.');
    const [, start, end, total] = said;
    if (start !== undefined) {
      if (Number(start) !== session.size) throw new Refused(503, 'backendError', 'the chunk does not follow');
      const announced = Number(end) - Number(start) + 1;
      if (whole && body.length !== announced)
        throw new Refused(400, 'badRequest', 'wrong length of the chunk');
      if (total === '*' && announced % granule !== 0) {
        throw new Refused(400, 'badRequest', 'the chunk is no multiple of 256 KiB');
      }
      const kept = whole ? body.length : this.keepsPartial ? body.length - (body.length % granule) : 0;
      session.parts.push(body.subarray(0, kept));
      session.size += kept;
    } else if (body.length > 0) throw new Refused(400, 'badRequest', 'bytes without a range');
    if (total === '*' || session.size !== Number(total)) return unfinished(session);
    const bytes = Buffer.concat(session.parts);
    this.#require('storage.objects.create');
    try {
      this.#checkCrc(/^crc32c=(.*)$/.exec(String(request.headers['x-goog-hash']))?.[1], bytes);
      const { bucket, name, ifGenerationMatch, storageClass } = session;
      session.finished = this.#store(bucket, name, bytes, ifGenerationMatch, storageClass);
    } catch (error) {
      this.sessions.delete(id);
      throw error;
    }
    session.parts.length = 0;
    return this.#resource(session.name, session.finished);
  }

  #get(request: http.IncomingMessage, url: URL, bucket: string, name: string): Reply {
    this.#require('storage.objects.get');
    const stored = this.#objects(bucket).get(name);
    const generation = url.searchParams.get('generation');
    if (stored === undefined || (generation !== null && generation !== stored.generation)) {
      throw new Refused(404, 'notFound', `No such object: ${bucket}/${name}`);
    }
    if (url.searchParams.get('alt') !== 'media') return this.#resource(name, stored);
    const headers = { 'x-goog-generation': stored.generation };
    const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    const size = stored.bytes.length;
    if (first === undefined) return { status: 200, headers, body: stored.bytes };
    const start = Number(first);
    if (start >= size)
      return {
        status: 416,
        headers: { 'content-range': `bytes */${size}` },
        body: 'Requested range not satisfiable',
      };
    const end = Math.min(last === '' ? size - 1 : Number(last), size - 1);
    const range = { 'content-range': `bytes ${start}-${end}/${size}` };
    return { status: 206, headers: { ...headers, ...range }, body: stored.bytes.subarray(start, end + 1) };
  }

  #list(bucket: string, query: URLSearchParams): Reply {
    this.#require('storage.objects.list');
    const prefix = query.get('prefix') ?? '';
    const after = Buffer.from(query.get('pageToken') ?? '', 'base64');
    const limit = Number(query.get('maxResults') ?? 1_000);
    const all = [...this.#objects(bucket)]
      .filter(([name]) => name.startsWith(prefix) && Buffer.compare(Buffer.from(name), after) > 0)
      .toSorted(([left], [right]) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
    const page = all.slice(0, limit);
    const items = page.map(([name, stored]) => resource(name, stored));
    const last = page.at(-1)?.[0];
    const isWhole = page.length === all.length || last === undefined;
    return {
      status: 200,
      body: {
        kind: 'storage#objects',
        ...(items.length > 0 && { items }),
        ...(!isWhole && { nextPageToken: Buffer.from(last).toString('base64') }),
      },
    };
  }

  #delete(url: URL, bucket: string, name: string): Reply {
    this.#require('storage.objects.delete');
    const objects = this.#objects(bucket);
    if (!objects.has(name)) throw new Refused(404, 'notFound', `No such object: ${bucket}/${name}`);
    this.#checkCondition(objects, name, url.searchParams.get('ifGenerationMatch'));
    if (this.held.has(name)) {
      throw new Refused(
        403,
        'retentionPolicyNotMet',
        `Object '${bucket}/${name}' is subject to bucket's retention policy`,
      );
    }
    objects.delete(name);
    return { status: 204 };
  }

  #objects(bucket: string): Map<string, StoredBytes> {
    const objects = this.buckets.get(bucket);
    if (objects === undefined) throw new Refused(404, 'notFound', 'The specified bucket does not exist.');
    return objects;
  }

  #store(
    bucket: string,
    name: string,
    bytes: Buffer,
    condition: string | null,
    storageClass = 'STANDARD',
  ): StoredBytes {
    const objects = this.#objects(bucket);
    this.#checkCondition(objects, name, condition);
    this.#generation += 1;
    const kept = this.corrupts ? Buffer.concat([bytes.subarray(1), bytes.subarray(0, 1)]) : bytes;
    const stored = { bytes: kept, generation: String(this.#generation), updated: new Date(), storageClass };
    objects.set(name, stored);
    return stored;
  }

  #checkCondition(objects: Map<string, StoredBytes>, name: string, condition: string | null): void {
    if (condition === null || condition === (objects.get(name)?.generation ?? '0')) return;
    throw new Refused(
      412,
      'conditionNotMet',
      'At least one of the pre-conditions you specified did not hold.',
    );
  }

  #checkCrc(given: string | undefined, bytes: Buffer): void {
    if (given === undefined) throw new Refused(400, 'invalid', 'no checksum was sent');
    const own = encodeCrc32c(crc32c(bytes));
    if (given === own) return;
    throw new Refused(400, 'invalid', `Provided CRC32C "${given}" doesn't match calculated CRC32C "${own}".`);
  }

  #require(permission: string): void {
    if (!this.denied.has(permission)) return;
    throw new Refused(
      403,
      'forbidden',
      `${this.identity.email} does not have ${permission} access to the Google Cloud Storage object. Permission '${permission}' denied on resource (or it may not exist).`,
    );
  }

  #resource(name: string, stored: StoredBytes): Reply {
    return { status: 200, body: resource(name, stored) };
  }
}

function resource(name: string, { bytes, generation, updated, storageClass }: StoredBytes): object {
  return {
    kind: 'storage#object',
    ...{ name, generation, storageClass, updated: updated.toISOString() },
    size: String(bytes.length),
    crc32c: encodeCrc32c(crc32c(bytes)),
  };
}

function unfinished({ size }: Session): Reply {
  return { status: 308, headers: size === 0 ? {} : { range: `bytes=0-${size - 1}` } };
}

function related(type: string, body: Buffer): { metadata: Record<string, string>; bytes: Buffer } {
  const boundary = /^multipart\/related; boundary=(\S+)$/.exec(type)?.[1];
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  const isWhole = boundary !== undefined && body.subarray(-tail.length).equals(tail);
  if (!isWhole) throw new Refused(400, 'badRequest', 'Malformed multipart body.');
  const first = body.indexOf('\r\n\r\n');
  const second = body.indexOf(`\r\n--${boundary}\r\n`, first);
  const third = body.indexOf('\r\n\r\n', second);
  const metadata = JSON.parse(body.subarray(first + 4, second).toString()) as Record<string, string>;
  return { metadata, bytes: body.subarray(third + 4, body.length - tail.length) };
}
