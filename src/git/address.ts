/** Addresses of Git repositories: which are allowed, how they are shown, and what secret is taken out of them. */
import { resolve } from 'node:path';
import { GranaryError } from '../model/errors.ts';

export interface RepositoryAddress {
  /** What git is given: without a password. */
  readonly url: string;
  /** What people and logs are given: without any credential or query. */
  readonly shown: string;
  /** Value of an HTTP `Authorization` header; null where the address holds no password. Secret. */
  readonly authorization: string | null;
  /** Parts of the address that must not be shown, should git repeat them. */
  readonly secrets: readonly string[];
}

const schemes = ['https:', 'http:', 'ssh:', 'file:'];

/** `git@github.com:acme/fleet.git`: SSH in the form that scp takes. The host must not begin with a dash. */
const scpLike = /^(?:[A-Za-z0-9._~][A-Za-z0-9._~-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?![:/]{2})[^:\s]/;

/**
 * Checks an address: `https://`, `http://`, `ssh://`, `file://`, `user@host:path`, or a local path. Anything else is
 * `usage`: an option in disguise (`-…`), a transport that runs commands (`ext::…`).
 * A password is taken out of an HTTP address, so that it is in no process list, and goes into `authorization`.
 */
export function parseAddress(text: string): RepositoryAddress {
  const refuse = (why: string) =>
    new GranaryError('usage', `the repository address ${why}`, {
      hint: 'give https://host/path, ssh://user@host/path, user@host:path, file:///path or a local path',
    });
  if (text === '') throw refuse('is empty');
  if (text.startsWith('-')) throw refuse('begins with a dash');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
  if (/[\u0000-\u001f\u007f]/.test(text)) throw refuse('holds a control character');
  const helper = /^([A-Za-z0-9+.-]+)::/.exec(text);
  if (helper) throw refuse(`uses the transport ${helper[1]}::, which may run any command`);

  if (/^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(text)) {
    const url = URL.parse(text);
    if (url === null) throw refuse('is no valid URL');
    if (!schemes.includes(url.protocol)) throw refuse(`uses ${url.protocol}//, which is not supported`);
    if (decodeURIComponent(url.hostname).startsWith('-') || url.username.startsWith('-')) {
      throw refuse('has a host or user that begins with a dash');
    }
    return fromUrl(url, text);
  }
  if (scpLike.test(text)) return { url: text, shown: text, authorization: null, secrets: [] };
  const path = resolve(text);
  return { url: path, shown: path, authorization: null, secrets: [] };
}

function fromUrl(url: URL, text: string): RepositoryAddress {
  const shown = new URL(url);
  shown.search = '';
  shown.hash = '';
  const secrets = [url.search.slice(1), url.password].filter((part) => part !== '');
  // Over HTTP the user may be the secret itself (a token); over SSH it is a name like `git`.
  const http = url.protocol === 'https:' || url.protocol === 'http:';
  if (http && url.username !== '') {
    secrets.push(url.username);
    shown.username = '***';
    shown.password = '';
  } else if (url.password !== '') shown.password = '***';
  const plain = secrets.flatMap((part) => [part, decoded(part)]);
  if (!http || url.password === '') {
    return { url: text, shown: shown.href, authorization: null, secrets: plain };
  }
  const basic = Buffer.from(`${decoded(url.username)}:${decoded(url.password)}`).toString('base64');
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  return {
    url: bare.href,
    shown: shown.href,
    authorization: `Basic ${basic}`,
    secrets: [...plain, basic],
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A text from git with nothing secret of the address left in it. */
export function scrub(text: string, address: RepositoryAddress | null): string {
  let clean = text.replaceAll(/([a-z]+:\/\/)[^\s/@'"]+@/gi, '$1***@');
  // Longest first, for one may be part of another. Very short ones would tear words apart and are masked above.
  for (const secret of [...(address?.secrets ?? [])].sort((a, b) => b.length - a.length)) {
    if (secret.length >= 4) clean = clean.replaceAll(secret, '***');
  }
  return clean;
}
