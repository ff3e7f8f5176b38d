/** One request to a receiver: within a time, over TLS, never following a redirect, and with nothing of it told but the host. */
import { setTimeout as pause } from 'node:timers/promises';
import { packageVersion } from '../../execute/version.ts';
import { GranaryError } from '../../model/errors.ts';

export interface Outgoing {
  readonly method: 'GET' | 'POST';
  /** May be a secret. */
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

export interface SendOptions {
  readonly signal: AbortSignal;
  /** Of one try. */
  readonly timeoutMs?: number | undefined;
  /** Pauses between the tries, each up to half longer: as many as there are tries beside the first. */
  readonly pausesMs?: readonly number[] | undefined;
}

const defaultTimeoutMs = 10_000;
const defaultPausesMs = [1_000, 5_000];

/**
 * Sends it, and again where that may help. What was sent may have arrived even where this throws.
 * @throws GranaryError `notification-failed` (it may pass), `notification-refused`, `tls-untrusted`; the reason of an
 * aborted signal
 */
export async function send(outgoing: Outgoing, options: SendOptions): Promise<void> {
  const { signal, pausesMs = defaultPausesMs } = options;
  for (const pauseMs of pausesMs) {
    try {
      return await sendOnce(outgoing, options);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof GranaryError) || error.kind !== 'retry') throw error;
    }
    await pause(pauseMs * (1 + Math.random() / 2), undefined, { signal });
  }
  return sendOnce(outgoing, options);
}

async function sendOnce(
  { method, url, headers, body }: Outgoing,
  { signal, timeoutMs = defaultTimeoutMs }: SendOptions,
): Promise<void> {
  const limit = AbortSignal.timeout(timeoutMs);
  let response: Response;
  try {
    response = await fetch(url, {
      method,
      body,
      headers: { 'user-agent': `granary/${packageVersion()}`, ...headers },
      // It would be sent, signature and all, to whomever the receiver names.
      redirect: 'manual',
      signal: AbortSignal.any([signal, limit]),
    });
  } catch (error) {
    signal.throwIfAborted();
    throw limit.aborted
      ? failed(url.host, `no answer within ${timeoutMs / 1_000} s`, null)
      : unreachable(url, error);
  }
  // What a receiver says may repeat what was sent to it.
  await response.body?.cancel().catch(() => {});
  if (response.ok) return;
  throw refusal(url.host, response.status);
}

/** Statuses of a receiver that may want it later: it is busy, or ill. */
const passing = [408, 425, 429];

function refusal(host: string, status: number): GranaryError {
  if (status >= 500 || passing.includes(status))
    return failed(host, `it answers with status ${status}`, null);
  const isRedirect = status >= 300 && status < 400;
  const isDenied = status === 401 || status === 403;
  return new GranaryError(
    'notification-refused',
    `${host} does not take notifications: it answers with status ${status}${isRedirect ? ', a redirect, which is not followed' : ''}`,
    {
      hint: isRedirect
        ? 'give the URL that it redirects to'
        : isDenied
          ? 'check that the token is still valid, and may do this'
          : 'check the URL, and that what it leads to is still there',
      context: { host, status },
    },
  );
}

const untrusted = /^(CERT_|ERR_TLS_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_(VERIFY|GET_ISSUER))/;
const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was reset',
  UND_ERR_SOCKET: 'the connection was closed',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'the name could not be looked up',
  EPROTO: 'it does not speak TLS',
};

/** The message of a foreign error is never taken over: it may hold the URL. */
function unreachable({ host }: URL, error: unknown): GranaryError {
  const code = codeOf(error);
  if (code !== null && untrusted.test(code)) {
    return new GranaryError('tls-untrusted', `the certificate of ${host} is not trusted (${code})`, {
      hint: 'an authority of your own goes into a file that NODE_EXTRA_CA_CERTS names',
      context: { host },
    });
  }
  return failed(host, reasons[code ?? ''] ?? `it cannot be reached (${code ?? 'unknown error'})`, code);
}

function failed(host: string, reason: string, code: string | null): GranaryError {
  return new GranaryError('notification-failed', `${host} could not be notified: ${reason}`, {
    hint: 'it is tried again by itself; where it goes on, check that the agent can reach that host',
    context: { host, code },
  });
}

/** The system's word for a failure, which stands somewhere down the chain of causes. */
function codeOf(error: unknown): string | null {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth++) {
    const { code } = cause as NodeJS.ErrnoException;
    if (typeof code === 'string' && /^[A-Z][A-Z0-9_]*$/.test(code)) return code;
  }
  return null;
}
