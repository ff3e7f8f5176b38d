/**
 * Who may ask, and who may tell the agent that something was pushed: GitHub, Gitea, Forgejo and GitLab, each by its own
 * header. Pure.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Secret } from '../secrets/secret.ts';

/**
 * Whether a request comes from somebody who knows the secret.
 *
 * GitHub: https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries. Gitea and Forgejo sign the
 * same way, without the prefix. GitLab sends the secret itself:
 * https://docs.gitlab.com/user/project/integrations/webhooks/#validate-payloads-by-using-a-secret-token.
 * @param body as it came, byte for byte
 */
export function isFromForge(headers: IncomingHttpHeaders, body: Uint8Array, secret: Secret): boolean {
  const mac = createHmac('sha256', secret.reveal()).update(body).digest('hex');
  const expected: readonly (readonly [string, string])[] = [
    ['x-hub-signature-256', `sha256=${mac}`],
    ['x-gitea-signature', mac],
    ['x-forgejo-signature', mac],
    ['x-gitlab-token', secret.reveal()],
  ];
  return expected.some(([header, value]) => {
    const given = headers[header];
    return typeof given === 'string' && isSame(given, value);
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
