/**
 * Who may ask, and who may tell the agent that something was pushed: GitHub, Gitea, Forgejo and GitLab, each by its own
 * header.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Secret } from '../secrets/secret.ts';

/** By header: what it holds where the sender knows the secret. */
const proofs: readonly (readonly [string, (mac: string, secret: Secret) => string])[] = [
  ['x-hub-signature-256', (mac) => `sha256=${mac}`],
  ['x-gitea-signature', (mac) => mac],
  ['x-forgejo-signature', (mac) => mac],
  ['x-gitlab-token', (_, secret) => secret.reveal()],
];

/**
 * Whether a request comes from somebody who knows the secret.
 *
 * GitHub: https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries. Gitea and Forgejo sign the
 * same way, without the prefix. GitLab sends the secret itself:
 * https://docs.gitlab.com/user/project/integrations/webhooks/#validate-payloads-by-using-a-secret-token.
 * @param body as it comes, byte for byte; not read where no header could say who sent it
 * @param most bytes: of a longer one no more are read, and it comes from nobody
 */
export async function isFromForge(
  headers: IncomingHttpHeaders,
  body: AsyncIterable<Uint8Array>,
  most: number,
  secret: Secret,
): Promise<boolean> {
  if (!proofs.some(([header]) => headers[header] !== undefined)) return false;
  const hmac = createHmac('sha256', secret.reveal());
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.length;
    if (bytes > most) return false;
    hmac.update(piece);
  }
  const mac = hmac.digest('hex');
  return proofs.some(([header, expected]) => {
    const given = headers[header];
    return typeof given === 'string' && isSame(given, expected(mac, secret));
  });
}

/**
 * Whether a request comes from somebody who knows the token: as a bearer token, or, for browsers, as the password of Basic
 * authentication with any user (RFC 7617).
 */
export function hasToken(authorization: string | undefined, token: Secret): boolean {
  const [, scheme = '', value = ''] = /^(Bearer|Basic) +(\S+)$/i.exec(authorization ?? '') ?? [];
  if (scheme.toLowerCase() !== 'basic') return isSame(value, token.reveal());
  const pair = Buffer.from(value, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  return colon >= 0 && isSame(pair.slice(colon + 1), token.reveal());
}

/** Takes the same time whatever differs. */
function isSame(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
