/** What the agent tells over HTTP. It takes nothing in, and holds no secret. */
import { type FastifyInstance, fastify } from 'fastify';
import { GranaryError } from '../model/errors.ts';
import type { Metrics } from './metrics.ts';
import { type AgentState, doubtsOf, whyNotReady } from './state.ts';

export interface Listen {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
}

export interface AgentServer extends AsyncDisposable {
  /** `http://127.0.0.1:9595`. */
  readonly url: string;
}

/** The loop ticks every few seconds; without a tick for this long it hangs. */
const longestSilenceMs = 30_000;

/**
 * Serves `/healthz`, `/readyz` and `/metrics`.
 * @throws GranaryError `listen-failed`
 */
export async function serve(
  listen: Listen,
  state: AgentState,
  metrics: Metrics,
  now: () => Date,
): Promise<AgentServer> {
  const server = fastify({ logger: false, forceCloseConnections: true });
  addRoutes(server, state, metrics, now);
  try {
    const url = await server.listen({ host: listen.host, port: listen.port });
    return { url, [Symbol.asyncDispose]: () => server.close() };
  } catch (error) {
    await server.close();
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    const reason = { EADDRINUSE: 'the port is in use', EADDRNOTAVAIL: 'it is no address of this machine' }[
      code
    ];
    throw new GranaryError(
      'listen-failed',
      `cannot listen on ${listen.host}:${listen.port}: ${reason ?? code}`,
      { hint: 'give another address with --listen HOST:PORT', cause: error, context: { ...listen } },
    );
  }
}

function addRoutes(server: FastifyInstance, state: AgentState, metrics: Metrics, now: () => Date): void {
  server.get('/healthz', (_, reply) => {
    const silentMs = now().getTime() - state.lastTick.getTime();
    if (silentMs <= longestSilenceMs) return { ok: true };
    return reply
      .code(503)
      .send({ ok: false, reason: `the loop has not moved for ${Math.round(silentMs / 1_000)} s` });
  });
  server.get('/readyz', (_, reply) => {
    const reason = whyNotReady(state);
    if (reason !== null) return reply.code(503).send({ ready: false, reason, doubts: doubtsOf(state) });
    return { ready: true, doubts: doubtsOf(state) };
  });
  server.get('/metrics', async (_, reply) => {
    reply.type(metrics.registry.contentType);
    return metrics.registry.metrics();
  });
}
