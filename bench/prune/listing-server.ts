/**
 * A bucket that holds many backups without a byte on a disk: an endpoint that speaks as much S3 as Granary needs to list
 * it, pages of 1,000 keys each, and to open what it asks for. It counts all that is asked of it.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseKey } from '../../src/catalog/keys.ts';
import { encodeManifest } from '../../src/catalog/manifest.ts';
import { manifestOf } from '../../test/catalog/helpers.ts';

export interface Asked {
  /** `LIST`, `GET`, `HEAD`, `PUT`, and the keys. */
  readonly requests: { readonly method: string; readonly key: string }[];
  /** `performance.now()` when the last page of a listing was sent. */
  listedAt: number;
}

export interface ListingServer extends AsyncDisposable {
  readonly endpoint: string;
  /** What was asked since the last `reset`. */
  readonly asked: Asked;
  reset(): void;
}

const pageSize = 1_000;
const modified = new Date(Date.now() - 86_400_000);

/** @param keys of the layout, in the order of a listing */
export async function startListingServer(bucket: string, keys: readonly string[]): Promise<ListingServer> {
  const written = new Map<string, Buffer>();
  const known = new Set(keys);
  const asked: Asked = { requests: [], listedAt: 0 };

  const bodyOf = (key: string): Buffer | undefined => {
    const own = written.get(key);
    if (own !== undefined || !known.has(key)) return own;
    const parsed = parseKey(key as Parameters<typeof parseKey>[0]);
    if (parsed.type !== 'manifest') return Buffer.from('data');
    const { seed, cluster, policy, slot } = parsed;
    return Buffer.from(encodeManifest(manifestOf({ seed, cluster, policy, slot })));
  };
  const page = (prefix: string, from: number): string => {
    const small = [...written.keys()].sort().filter((key) => key.startsWith(prefix) && !known.has(key));
    const all =
      prefix === '' || prefix.startsWith('seeds') || !keys.some((key) => key.startsWith(prefix))
        ? small
        : keys;
    const start = from === 0 && all === keys ? lowerBound(keys, prefix) : from;
    const found: string[] = [];
    let at = start;
    for (; at < all.length && found.length < pageSize && all[at]?.startsWith(prefix); at += 1)
      found.push(all[at] ?? '');
    const more = at < all.length && all[at]?.startsWith(prefix) === true;
    const contents = found
      .map(
        (key) =>
          `<Contents><Key>${key}</Key><LastModified>${modified.toISOString()}</LastModified><ETag>"${etagOf(key, written.get(key))}"</ETag><Size>${key.includes('/data-') ? 4 : 2_000}</Size></Contents>`,
      )
      .join('');
    const next = more ? `<NextContinuationToken>${at}</NextContinuationToken>` : '';
    return `<?xml version="1.0"?><ListBucketResult><Name>${bucket}</Name><Prefix>${prefix}</Prefix><KeyCount>${found.length}</KeyCount><MaxKeys>${pageSize}</MaxKeys><IsTruncated>${more}</IsTruncated>${next}${contents}</ListBucketResult>`;
  };

  const answer = (request: IncomingMessage, response: ServerResponse, body: Buffer): void => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const key = decodeURIComponent(url.pathname.slice(bucket.length + 2));
    const method = request.method === 'GET' && key === '' ? 'LIST' : (request.method ?? '');
    asked.requests.push({ method, key: method === 'LIST' ? url.search : key });
    if (method === 'LIST') {
      if (url.searchParams.get('list-type') !== '2') return void response.writeHead(200).end('<x/>');
      const token = Number(url.searchParams.get('continuation-token') ?? 0);
      response.writeHead(200, { 'content-type': 'application/xml' });
      response.end(page(url.searchParams.get('prefix') ?? '', token));
      asked.listedAt = performance.now();
      return;
    }
    const found = bodyOf(key);
    if (method === 'PUT') {
      const { 'if-none-match': create, 'if-match': replace } = request.headers;
      const isMet = create === undefined && replace === undefined;
      const holds = found === undefined ? create !== undefined : replace === `"${etagOf(key, found)}"`;
      if (!isMet && !holds) {
        const error =
          '<?xml version="1.0"?><Error><Code>PreconditionFailed</Code><Message>no</Message></Error>';
        return void response.writeHead(412, { 'content-type': 'application/xml' }).end(error);
      }
      written.set(key, body);
      return void response.writeHead(200, { etag: `"${etagOf(key, body)}"` }).end();
    }
    if (method === 'DELETE') {
      written.delete(key);
      return void response.writeHead(204).end();
    }
    if (found === undefined) {
      const error = '<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>nothing</Message></Error>';
      return void response.writeHead(404, { 'content-type': 'application/xml' }).end(error);
    }
    const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    const end = last === undefined || last === '' ? found.length : Math.min(Number(last) + 1, found.length);
    const piece = found.subarray(Number(first ?? 0), end);
    const range = { 'content-range': `bytes ${first}-${end - 1}/${found.length}` };
    response.writeHead(first === undefined ? 200 : 206, {
      'content-length': piece.length,
      'last-modified': modified.toUTCString(),
      etag: `"${etagOf(key, found)}"`,
      ...(first !== undefined && range),
    });
    response.end(method === 'HEAD' ? undefined : piece);
  };
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => answer(request, response, Buffer.concat(pieces)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    asked,
    reset: () => {
      asked.requests.length = 0;
      asked.listedAt = 0;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Of what is there from the start by its key; of what was written by its bytes too. */
function etagOf(key: string, body?: Buffer): string {
  const hash = createHash('md5').update(key);
  return (body !== undefined && !key.startsWith('clusters/') ? hash.update(body) : hash).digest('hex');
}

function lowerBound(keys: readonly string[], prefix: string): number {
  let [low, high] = [0, keys.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] ?? '') < prefix) low = middle + 1;
    else high = middle;
  }
  return low;
}
