/** What etcd, gRPC, TLS and the network say when something fails, as errors of ours. One table. */

import type { ErrorCode } from '../model/errors.ts';
import { GranaryError, isGranaryError } from '../model/errors.ts';
import { formatBytes } from '../model/units.ts';
import type { EtcdTarget } from './target.ts';

/** What was being done, and where. */
export interface CallContext {
  readonly target: EtcdTarget;
  /** Client URL of the member. */
  readonly endpoint: string;
  /** `read the status`: follows "could not". */
  readonly action: string;
  /** The endpoint serves with TLS although it says http, or without although it says https. */
  readonly otherScheme: boolean;
}

interface Rule {
  /** Found in the status details or the error's message. etcd 3.4 and 3.5 answer UNKNOWN where 3.6 has a real code. */
  readonly text?: RegExp;
  /** gRPC status. */
  readonly status?: number;
  readonly otherScheme?: true;
  readonly code: ErrorCode;
  readonly message: (context: CallContext, reason: string) => string;
  readonly hint: (context: CallContext) => string;
}

/** What grpc-js, Node and `http2-call.ts` say where the other side hangs up before anything was agreed on. */
const connectionEnded =
  /Failed to connect \(|Protocol error|before HTTP\/2 was agreed on|before secure TLS connection was established|wrong version number|packet length too long/;

/** The first that fits counts. */
const rules: readonly Rule[] = [
  // who we are
  {
    text: /authentication failed, invalid user ID or password/,
    code: 'etcd-auth',
    message: ({ target, endpoint }) =>
      `etcd refused ${userOf(target)} at ${endpoint}: authentication failed, invalid user ID or password`,
    hint: ({ target }) =>
      `look at user and password in the credential of ${target.name}; \`granary check ${target.name}\` tries it alone`,
  },
  {
    text: /user name is empty/,
    code: 'etcd-auth',
    message: ({ endpoint }) => `etcd at ${endpoint} has authentication on, and nobody was named`,
    hint: ({ target }) =>
      `give ${target.name} an \`auth\` with a credential, or a client certificate whose common name is a user`,
  },
  {
    text: /user name not found|user not found/,
    code: 'etcd-auth',
    message: ({ target, endpoint }) =>
      `etcd at ${endpoint} has no user ${target.auth === null ? 'of the name in the client certificate' : `"${target.auth.username}"`}`,
    hint: () => 'add the user with `etcdctl user add`, or use another one',
  },
  {
    text: /permission denied/,
    code: 'etcd-permission',
    message: ({ target, endpoint, action }) =>
      `etcd at ${endpoint} does not let ${userOf(target)} ${action}: permission denied`,
    hint: ({ target }) =>
      `snapshots and hashes need the role root: \`etcdctl user grant-role ${target.auth?.username ?? 'USER'} root\`, or a client certificate with the common name root`,
  },
  {
    text: /invalid auth token|revision of auth store is old/,
    code: 'etcd-auth',
    message: ({ endpoint }) => `etcd at ${endpoint} does not accept the token that it gave at sign-in`,
    hint: () => 'members must agree on `--auth-token`, and their clocks must be right where it is jwt',
  },
  // TLS
  {
    text: /certificate required|alert bad certificate/,
    code: 'etcd-tls',
    message: ({ target, endpoint }) =>
      target.tls?.certificate
        ? `etcd at ${endpoint} does not accept the client certificate of ${target.name}`
        : `etcd at ${endpoint} wants a client certificate`,
    hint: ({ target }) =>
      `give ${target.name} a certificate and key of the authority in that member’s --trusted-ca-file`,
  },
  {
    text: /alert unknown ca|alert certificate (unknown|expired|revoked)|alert unsupported certificate/,
    code: 'etcd-tls',
    message: ({ target, endpoint }, reason) =>
      `etcd at ${endpoint} does not accept the client certificate of ${target.name} (${alertIn(reason)})`,
    hint: () => 'it must be valid now and come from the authority in that member’s --trusted-ca-file',
  },
  {
    text: /altnames|ERR_TLS_CERT_ALTNAME_INVALID/,
    code: 'etcd-tls',
    message: ({ endpoint }, reason) =>
      `the certificate of etcd at ${endpoint} is for another name: ${reason.replace(/^.*?(Host|IP): /, '')}`,
    hint: () => 'set `serverName` to a name in the certificate, or use an endpoint that it is for',
  },
  {
    text: /certificate has expired|certificate is not yet valid|CERT_HAS_EXPIRED|CERT_NOT_YET_VALID/,
    code: 'etcd-tls',
    message: ({ endpoint }) => `the certificate of etcd at ${endpoint} is not valid now`,
    hint: () => 'renew it, or set this machine’s clock',
  },
  {
    text: /unable to verify the first certificate|self[- ]signed certificate|unable to get (local )?issuer certificate|UNABLE_TO_|SELF_SIGNED/,
    code: 'etcd-tls',
    message: ({ target, endpoint }) =>
      `the certificate of etcd at ${endpoint} is not from ${target.tls?.ca ? `the CA given for ${target.name}` : 'an authority that this system trusts'}`,
    hint: () => 'give the CA certificate that signed it (`caCertificate` in the credential, or `caFile`)',
  },
  {
    otherScheme: true,
    code: 'etcd-tls',
    message: ({ endpoint }) =>
      endpoint.startsWith('https:')
        ? `${endpoint} serves without TLS, and the endpoint says https`
        : `${endpoint} serves with TLS, and the endpoint says http`,
    hint: ({ endpoint }) =>
      `write ${endpoint.replace(/^https?/, (scheme) => (scheme === 'https' ? 'http' : 'https'))}`,
  },
  {
    text: /alert handshake failure|alert protocol version|no suitable|unsupported protocol/,
    code: 'etcd-tls',
    message: ({ endpoint }, reason) => `no TLS could be agreed on with ${endpoint} (${alertIn(reason)})`,
    hint: () =>
      'look at that member’s --cipher-suites and --tls-min-version; TLS 1.2 and 1.3 are spoken here',
  },
  // what was asked
  {
    text: /has been compacted/,
    code: 'revision-compacted',
    message: ({ endpoint, action }) => `could not ${action} at ${endpoint}: that revision has been compacted`,
    hint: () => 'it is gone from the live cluster; ask for a newer one',
  },
  {
    text: /future revision/,
    code: 'etcd-failed',
    message: ({ endpoint, action }) => `could not ${action}: ${endpoint} has not got that revision yet`,
    hint: () => 'that member lags, or the cluster was restored; try again, or another member',
  },
  {
    text: /not supported for learner/,
    code: 'etcd-failed',
    message: ({ endpoint, action }) => `could not ${action}: ${endpoint} is a learner`,
    hint: () => 'ask a voting member',
  },
  {
    text: /database space exceeded/,
    code: 'etcd-failed',
    message: ({ endpoint, action }) =>
      `could not ${action} at ${endpoint}: its database is full (alarm NOSPACE)`,
    hint: () => 'compact, defragment, then `etcdctl alarm disarm`; or raise --quota-backend-bytes',
  },
  {
    text: /corrupt cluster/,
    code: 'etcd-failed',
    message: ({ endpoint, action }) => `could not ${action}: etcd at ${endpoint} has the alarm CORRUPT`,
    hint: () => 'its members differ; find the good one before anything else (`etcdctl alarm list`)',
  },
  {
    text: /no leader|leader changed|request timed out|unhealthy cluster|server stopped|not capable/,
    code: 'etcd-failed',
    message: ({ endpoint, action }, reason) => `could not ${action} at ${endpoint}: ${reason}`,
    hint: () =>
      'a majority of the members must be up for this; a client certificate signs in without one, a password does not',
  },
  {
    status: 12,
    code: 'etcd-failed',
    message: ({ endpoint, action }) => `could not ${action}: ${endpoint} does not know that call`,
    hint: () => 'is it an etcd of version 3.4 or newer, and no gateway between?',
  },
  // the way there
  {
    text: /ENOTFOUND|EAI_AGAIN|Name resolution failed/,
    code: 'etcd-unreachable',
    message: ({ endpoint }) => `cannot reach etcd at ${endpoint}: its name does not resolve`,
    hint: () => 'look at the endpoint’s spelling and this machine’s DNS',
  },
  {
    text: /ECONNREFUSED/,
    code: 'etcd-unreachable',
    message: ({ endpoint }) => `cannot reach etcd at ${endpoint}: connection refused`,
    hint: () => 'is etcd running there, and does it listen for clients on that address and port?',
  },
  {
    status: 4,
    code: 'etcd-unreachable',
    message: ({ endpoint, action }) => `could not ${action}: etcd at ${endpoint} did not answer in time`,
    hint: () => 'is that member frozen or overloaded, or a firewall between?',
  },
  {
    text: connectionEnded,
    code: 'etcd-unreachable',
    message: ({ endpoint }) => `${endpoint} took the connection and ended it at once`,
    hint: () => 'is etcd starting or stopping there, a load balancer without members, or its peer port?',
  },
  {
    text: /ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ECONNRESET|EPIPE|Connection dropped|connection broke|No connection established/,
    code: 'etcd-unreachable',
    message: ({ endpoint }, reason) => `cannot reach etcd at ${endpoint}: ${reason}`,
    hint: () => 'is that member up, and the way to it open?',
  },
];

/** Any failure of a call to etcd as a GranaryError. Neither message nor hint holds a secret, as no failure quotes one. */
export function etcdError(error: unknown, context: CallContext): GranaryError {
  const details = { target: context.target.name, endpoint: context.endpoint };
  if (isGranaryError(error)) {
    const saysWhere = error.context.endpoint !== undefined;
    return saysWhere ? error : error.within(`could not ${context.action} at ${context.endpoint}`, details);
  }
  const { status, reason } = describe(error);
  const rule = rules.find(
    (each) =>
      (each.status === undefined || each.status === status) &&
      (each.otherScheme === undefined || context.otherScheme) &&
      (each.text === undefined || each.text.test(reason)),
  );
  if (rule === undefined) {
    return new GranaryError(
      'etcd-failed',
      `could not ${context.action} at ${context.endpoint}: ${tidy(reason) || `gRPC status ${status}`}`,
      { hint: 'that member’s log may say more', cause: error, context: details },
    );
  }
  return new GranaryError(rule.code, rule.message(context, tidy(reason)), {
    hint: rule.hint(context),
    cause: error,
    context: details,
  });
}

/** A failure after the first bytes of a snapshot came: what is there is worth nothing, and says how much it was. */
export function brokenOff(error: GranaryError, endpoint: string, received: number): GranaryError {
  if (!isGranaryError(error, 'etcd-unreachable', 'etcd-failed', 'etcd-tls')) return error;
  const message = `the snapshot from ${endpoint} broke off after ${formatBytes(received)}: ${error.message}`;
  return new GranaryError('snapshot-truncated', message, {
    hint: 'take another one, from another member if this one is down',
    cause: error,
    context: { ...error.context, received },
  });
}

/** True where it is worth a look whether the endpoint's scheme is wrong. */
export function mayBeOtherScheme(error: unknown): boolean {
  return connectionEnded.test(describe(error).reason);
}

/** True where signing in anew may help: the token is too old, or authentication was turned on meanwhile. */
export function isStaleToken(error: unknown): boolean {
  return /invalid auth token|revision of auth store is old|user name is empty/.test(describe(error).reason);
}

/** True for etcd's word that it has no authentication, so that a password is not needed. */
export function isAuthDisabled(error: unknown): boolean {
  return /authentication is not enabled/.test(describe(error).reason);
}

/** gRPC status where there is one, and the text to match: with the system's error code, as messages vary. */
function describe(error: unknown): { status: number | undefined; reason: string } {
  if (!(error instanceof Error)) return { status: undefined, reason: String(error) };
  const { code, details } = error as { code?: unknown; details?: unknown };
  const text = typeof details === 'string' ? details : error.message;
  const named = typeof code === 'string' && !text.includes(code) ? `${code}: ${text}` : text;
  return { status: typeof code === 'number' ? code : undefined, reason: named };
}

/** What grpc-js and etcd put around the reason itself. */
function tidy(reason: string): string {
  return reason
    .replace(/^No connection established\. Last error: (Error: )?/, '')
    .replace(/\.? Resolution note: .*$/s, '')
    .replace(/ \(\d{4}-\d{2}-\d{2}T[\d:.]+Z\)/g, '')
    .replace(/^etcdserver: /, '')
    .trim();
}

function alertIn(reason: string): string {
  return /alert ([a-z ]+)/.exec(reason)?.[1] ?? reason;
}

function userOf(target: EtcdTarget): string {
  return target.auth === null ? 'the user of the client certificate' : `the user "${target.auth.username}"`;
}
