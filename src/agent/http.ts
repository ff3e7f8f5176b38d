/** What the agent tells over HTTP. It takes nothing in but the word that something was pushed, and shows no secret. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Server } from 'node:https';
import { isIP } from 'node:net';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { GranaryError } from '../model/errors.ts';
import { Secret } from '../secrets/secret.ts';
import type { Metrics } from './metrics.ts';
import { type AgentState, doubtsOf, whyNotReady } from './state.ts';
import { addStatus } from './status/routes.ts';
import { hasToken, isFromForge } from './webhook.ts';

export interface Listen {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
}

/** Who may ask. Files are read for each request, so that a new secret counts at once. */
export interface Access {
  /** A file with the secret of `POST /webhook`; null: there is no such address. */
  readonly webhookSecretFile: string | null;
  /** A file with the bearer token of all but the probes and the webhook; null: none is asked for. */
  readonly tokenFile: string | null;
  /** PEM files; null: plain HTTP. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
}

export const openToAll: Access = { webhookSecretFile: null, tokenFile: null, tls: null };

export interface ServeOptions {
  readonly listen: Listen;
  readonly access: Access;
  readonly state: AgentState;
  readonly metrics: Metrics;
  readonly now: () => Date;
  /** Something was pushed. */
  readonly onPush: () => void;
}

export interface AgentServer extends AsyncDisposable {
  /** `http://127.0.0.1:9595`. */
  readonly url: string;
}

/** The loop ticks every few seconds; without a tick for this long it hangs. */
const longestSilenceMs = 30_000;
/** How often it is looked whether a certificate was renewed. */
const renewalMs = 60_000;
/** GitHub sends no more to the webhook. */
const maxPayloadBytes = 25 * 2 ** 20;
/** Nothing else takes anything in, and whoever sends it something need not have shown a secret: it is held in memory. */
const maxBodyBytes = 1_024;
/** Who sends a request more slowly holds a connection for nothing. */
const requestMs = 60_000;

/**
 * Serves `/healthz`, `/readyz`, `/metrics`, the status (`/`, `/clusters/…`, `/api/v1/status`, `/api/v1/events`) and, where
 * there is a secret for it, `POST /webhook`.
 * @throws GranaryError `listen-failed`; `file-unreadable` for a secret or certificate that cannot be read
 */
export async function serve(options: ServeOptions): Promise<AgentServer> {
  const { listen, access } = options;
  for (const file of [access.webhookSecretFile, access.tokenFile]) if (file !== null) await readSecret(file);
  const tls = access.tls === null ? null : readTls(access.tls);
  const limits = { bodyLimit: maxBodyBytes, requestTimeout: requestMs } as const;
  const basics = { logger: false, forceCloseConnections: true, ...limits } as const;
  const server =
    tls === null ? fastify(basics) : (fastify({ ...basics, https: tls }) as unknown as FastifyInstance);
  const renewal = access.tls === null || tls === null ? null : renew(server, access.tls, tls);
  refuseOtherNames(server, options);
  addProbes(server, options);
  addTold(server, options);
  addWebhook(server, options);
  try {
    const url = await server.listen({ host: listen.host, port: listen.port });
    return {
      url,
      [Symbol.asyncDispose]: async () => {
        clearInterval(renewal ?? undefined);
        await server.close();
      },
    };
  } catch (error) {
    clearInterval(renewal ?? undefined);
    await server.close();
    throw cannotListen(listen, error);
  }
}

/**
 * Where nobody is asked for a token, and only this machine reaches it: a page of somewhere else could point a name of its own
 * at this machine and read along with a browser here, so only requests for this machine by its own names are answered. The
 * webhook, which tells nothing, may come through a tunnel by any name.
 */
function refuseOtherNames(server: FastifyInstance, { listen, access }: ServeOptions): void {
  const isPrivate = access.tokenFile === null && ['127.0.0.1', '::1', 'localhost'].includes(listen.host);
  if (!isPrivate) return;
  server.addHook('onRequest', async ({ method, headers: { host } }, reply) => {
    // A browser always says what it asks for.
    if (method === 'POST' || host === undefined || isOwnName(host)) return;
    const error = 'ask for localhost or an address, or start the agent with a token';
    await reply.code(421).send({ error });
  });
}

/** `localhost`, or an address: what no name server can give away. */
function isOwnName(host: string): boolean {
  const name = URL.parse(`http://${host}`)?.hostname.replace(/^\[(.*)\]$/, '$1') ?? '';
  return name === 'localhost' || name.endsWith('.localhost') || isIP(name) !== 0;
}

/** Kubernetes asks these without a token. They hold no names but those of seeds and commits. */
function addProbes(server: FastifyInstance, { state, now }: ServeOptions): void {
  server.get('/healthz', (_, reply) => {
    const silentMs = now().getTime() - state.lastTick.getTime();
    if (silentMs <= longestSilenceMs) return { ok: true };
    return reply
      .code(503)
      .send({ ok: false, reason: `the loop has not moved for ${Math.round(silentMs / 1_000)} s` });
  });
  server.get('/readyz', (_, reply) => {
    const reason = whyNotReady(state);
    const { replica } = state;
    const doubts = doubtsOf(state);
    if (reason !== null) return reply.code(503).send({ ready: false, reason, replica, doubts });
    return { ready: true, replica, doubts };
  });
}

/** What only those may read who have the token, where one is asked for. */
function addTold(server: FastifyInstance, { access, state, metrics, now }: ServeOptions): void {
  const mayRead = async ({ headers: { authorization } }: FastifyRequest, reply: FastifyReply) => {
    if (access.tokenFile === null) return;
    const token = await readSecret(access.tokenFile);
    if (hasToken(authorization, token)) return;
    // A browser asks its user only where Basic is offered.
    reply.header('www-authenticate', ['Bearer', 'Basic realm="granary", charset="UTF-8"']);
    await reply.code(401).send({ error: 'the token is needed: as a bearer token, or as a password' });
  };
  server.get('/metrics', { onRequest: mayRead }, async (_, reply) => {
    reply.type(metrics.registry.contentType);
    return metrics.registry.metrics();
  });
  addStatus(server, { state, now, mayRead });
}

function addWebhook(server: FastifyInstance, { access, onPush }: ServeOptions): void {
  const { webhookSecretFile } = access;
  if (webhookSecretFile === null) return;
  void server.register(async (scope) => {
    // The signature is of the bytes as they came. They are counted and not kept: anybody may send them.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
    scope.post('/webhook', async (request, reply) => {
      const { headers, raw } = request;
      const signed = isFromForge(headers, raw, maxPayloadBytes, await readSecret(webhookSecretFile));
      if (!(await signed)) return reply.code(401).send({ error: 'the signature is missing or wrong' });
      onPush();
      return reply.code(202).send({ polling: true });
    });
  });
}

type TlsFiles = NonNullable<Access['tls']>;

interface TlsPair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** @throws GranaryError `file-unreadable`, also for an empty file: an empty secret would let everybody in */
async function readSecret(file: string): Promise<Secret> {
  try {
    const text = (await readFile(file, 'utf8')).trim();
    if (text !== '') return new Secret(text);
  } catch (error) {
    throw unreadable(file, (error as NodeJS.ErrnoException).code ?? 'unknown error', error);
  }
  throw unreadable(file, 'it is empty', undefined);
}

function readTls({ certFile, keyFile }: TlsFiles): TlsPair {
  const read = (file: string) => {
    try {
      return readFileSync(file);
    } catch (error) {
      throw unreadable(file, (error as NodeJS.ErrnoException).code ?? 'unknown error', error);
    }
  };
  return { cert: read(certFile), key: read(keyFile) };
}

/** A certificate that was renewed counts without a restart; one that is being written is read the next time. */
function renew(server: FastifyInstance, files: TlsFiles, inUse: TlsPair): NodeJS.Timeout {
  let known = inUse;
  const timer = setInterval(() => {
    try {
      const tls = readTls(files);
      if (tls.cert.equals(known.cert) && tls.key.equals(known.key)) return;
      (server.server as unknown as Server).setSecureContext(tls);
      known = tls;
    } catch {
      // The one in use goes on.
    }
  }, renewalMs);
  return timer.unref();
}

function unreadable(file: string, reason: string, cause: unknown): GranaryError {
  return new GranaryError('file-unreadable', `${file} cannot be read (${reason})`, {
    hint: 'name a file that this user may read',
    cause,
    context: { file },
  });
}

function cannotListen({ host, port }: Listen, error: unknown): GranaryError {
  const { code = 'unknown error', message } = error as NodeJS.ErrnoException;
  const reason = {
    EADDRINUSE: 'the port is in use',
    EADDRNOTAVAIL: 'it is no address of this machine',
    EACCES: 'this user may not use that port',
  }[code];
  return new GranaryError('listen-failed', `cannot listen on ${host}:${port}: ${reason ?? code ?? message}`, {
    hint: 'give another address with --listen HOST:PORT',
    cause: error,
    context: { host, port },
  });
}
