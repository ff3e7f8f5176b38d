/** Which server a destination means, and whether a token may be sent there. */
import { GranaryError } from '../../model/errors.ts';

const google = 'https://storage.googleapis.com';

/**
 * The address of the API, without a slash at its end. `store-misconfigured` where it is none.
 * @param endpoint null: Google itself
 */
export function baseOf(endpoint: string | null): URL {
  const url = URL.parse(endpoint ?? google);
  if (url !== null && (url.protocol === 'https:' || url.protocol === 'http:')) {
    url.pathname = url.pathname.replace(/\/+$/, '');
    url.search = '';
    url.hash = '';
    return url;
  }
  throw new GranaryError(
    'store-misconfigured',
    `the endpoint ${endpoint} is not an http:// or https:// URL`,
    { hint: 'leave `endpoint` out for Google itself, or write it as https://storage.example.com' },
  );
}

/** A token that is sent in plain text is anybody's: `store-misconfigured`, unless it stays on this machine. */
export function checkMayCarryToken(base: URL): void {
  if (base.protocol === 'https:' || isLoopback(base)) return;
  throw new GranaryError(
    'store-misconfigured',
    `the endpoint ${base.origin} would carry a token of Google in plain text`,
    {
      hint: 'write the endpoint with https://; an emulator needs neither a credential nor `useInstanceRole`',
    },
  );
}

export function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}
