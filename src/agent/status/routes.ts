/** The status over HTTP: as JSON, as pages, and as a stream that says when something is new. */
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { clusterPage, fleetPage } from '../../report/page/page.ts';
import { addressOf, parseQuery } from '../../report/page/rows.ts';
import { script } from '../../report/page/script.ts';
import { style } from '../../report/page/style.ts';
import type { AgentState } from '../state.ts';
import { Rendered } from './rendered.ts';
import { statusOf } from './status.ts';

export interface StatusRoutes {
  readonly state: AgentState;
  readonly now: () => Date;
  /** Turns away who may not read. */
  readonly mayRead: (request: FastifyRequest, reply: FastifyReply) => Promise<void>;
}

/** Pages that are kept up to date at the same time; more have to be loaded anew by hand. */
const mostListeners = 32;
/** A proxy, or a reader that is gone, is noticed by what cannot be sent. */
const aliveMs = 30_000;
/** Bytes that a reader may leave unread. Each word is a few dozen. */
const mostUnread = 4_096;

const sha256 = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
const pageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': `default-src 'none'; script-src ${sha256(script)}; style-src ${sha256(style)}; img-src data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
} as const;
const headers = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
} as const;

export function addStatus(server: FastifyInstance, routes: StatusRoutes): void {
  const { state, now, mayRead } = routes;
  const version = () => `${state.startedAt.getTime()}-${state.changes.count}`;
  const onRequest = async (request: FastifyRequest, reply: FastifyReply) => {
    reply.headers(headers);
    await mayRead(request, reply);
  };
  const rendered = new Rendered(version);
  const status = () => rendered.of('status', () => statusOf(state, now()));
  server.get('/api/v1/status', { onRequest }, (_, reply) =>
    reply.type('application/json; charset=utf-8').send(rendered.of('json', () => JSON.stringify(status()))),
  );
  server.get('/', { onRequest }, (request, reply) => {
    const query = parseQuery(request.query as Record<string, unknown>);
    const page = rendered.of(`page ${addressOf(query)}`, () => fleetPage(status(), query, version()));
    return reply.headers(pageHeaders).send(page);
  });
  server.get('/clusters/:seed/:cluster', { onRequest }, (request, reply) => {
    const { seed = '', cluster = '' } = request.params as Partial<Record<'seed' | 'cluster', string>>;
    const page = clusterPage(status(), seed, cluster, version());
    if (page === null) return reply.code(404).send({ error: 'no such cluster is backed up here' });
    return reply.headers(pageHeaders).send(page);
  });
  const listeners = new Listeners(state, version);
  server.get('/api/v1/events', { onRequest }, (_, reply) => {
    if (listeners.isFull) return reply.code(503).send({ error: 'too many pages listen already' });
    reply.hijack();
    listeners.add(reply.raw);
    return reply;
  });
}

/** Who is told that something is new: what it is they ask for themselves. */
class Listeners {
  readonly #state: AgentState;
  readonly #version: () => string;
  readonly #open = new Set<ServerResponse>();
  #unlisten: (() => void) | null = null;
  #alive: NodeJS.Timeout | null = null;

  constructor(state: AgentState, version: () => string) {
    this.#state = state;
    this.#version = version;
  }

  get isFull(): boolean {
    return this.#open.size >= mostListeners;
  }

  add(response: ServerResponse): void {
    response.writeHead(200, { ...headers, 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
    response.once('close', () => this.#remove(response));
    this.#open.add(response);
    this.#unlisten ??= this.#state.changes.listen(() => this.#send(this.#word()));
    this.#alive ??= setInterval(() => this.#send(':\n\n'), aliveMs).unref();
    response.write(this.#word());
  }

  #word(): string {
    return `event: state\ndata: ${this.#version()}\n\n`;
  }

  #send(text: string): void {
    for (const response of this.#open) {
      if (response.writableLength > mostUnread) response.destroy();
      else response.write(text);
    }
  }

  /** With nobody there nothing ticks. */
  #remove(response: ServerResponse): void {
    this.#open.delete(response);
    if (this.#open.size > 0) return;
    this.#unlisten?.();
    clearInterval(this.#alive ?? undefined);
    this.#unlisten = null;
    this.#alive = null;
  }
}
