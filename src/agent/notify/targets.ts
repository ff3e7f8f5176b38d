/** Receivers as the configuration names them, and where they really are: a URL may be a secret, and then a credential has it. */
import { createHash } from 'node:crypto';
import type { OpenCredential } from '../../execute/credentials.ts';
import type { Configuration, NotificationEvent, NotificationType } from '../../model/config.ts';
import { GranaryError } from '../../model/errors.ts';
import type { Secret } from '../../secrets/secret.ts';

export interface Target {
  /** The same as long as type, URL and credential are. Tells nothing of them. */
  readonly id: string;
  readonly type: NotificationType;
  /** null: the credential has it. */
  readonly url: string | null;
  readonly credential: string | null;
  /** The credential may not be used. */
  readonly locked: boolean;
  readonly on: readonly NotificationEvent[];
  /** Seeds that it hears of; null: every one. */
  readonly seeds: readonly string[] | null;
}

export interface Address {
  /** May be a secret: only its host is ever told. */
  readonly url: URL;
  /** What the credential holds, where that is not the URL. */
  readonly token: Secret | null;
  /** The URL had a place for the seed's name. */
  readonly perSeed: boolean;
}

/** A credential that only some seeds may use makes a receiver of theirs only. */
export function targetsOf({ repository, credentials }: Configuration): Target[] {
  const counts = new Map<string, number>();
  return repository.notifications.map((notification) => {
    const { type, url, credential } = notification;
    const hash = createHash('sha256')
      .update(JSON.stringify([type, url, credential]))
      .digest('hex')
      .slice(0, 32);
    const count = (counts.get(hash) ?? 0) + 1;
    counts.set(hash, count);
    const found = credentials.find(({ name }) => name === credential);
    return {
      ...notification,
      id: count === 1 ? hash : `${hash}-${count}`,
      locked: found?.locked ?? false,
      seeds: found?.seeds ?? null,
    };
  });
}

export function hears({ seeds }: Target, seed: string | null): boolean {
  return seed === null || seeds === null || seeds.includes(seed);
}

/**
 * Where to send, and with what token.
 * @param seed stands in for `{seed}` in the URL
 * @throws GranaryError `notification-refused` where that cannot be used, and what opening the credential throws
 */
export async function addressOf(
  { type, url, credential, locked }: Target,
  open: (name: string) => Promise<OpenCredential>,
  seed: string | null = null,
): Promise<Address> {
  if (locked) {
    throw unusable(
      `credential ${credential} is locked`,
      `remove \`locked: true\` from Credential ${credential}`,
    );
  }
  const token = credential === null ? null : ((await open(credential)).get('token') ?? null);
  if (credential !== null && token === null) {
    throw unusable(`credential ${credential} has no \`token\``, 'a Credential of type token has one');
  }
  const text = url ?? token?.reveal() ?? '';
  const what =
    url === null ? `the token of credential ${credential}` : `the \`url\` of a ${type} notification`;
  return {
    url: parseTarget(seed === null ? text : text.replaceAll('{seed}', seed), what),
    token: url === null ? null : token,
    perSeed: text.includes('{seed}'),
  };
}

function parseTarget(text: string, what: string): URL {
  const url = /[\s\\]/.test(text.trim()) ? null : URL.parse(text.trim());
  const hint = 'write it as https://HOST/PATH; http:// is for this machine only';
  if (url === null || !/^https?:$/.test(url.protocol)) throw unusable(`${what} is no https:// URL`, hint);
  if (url.username !== '' || url.password !== '') {
    throw unusable(`${what} has a user or a password in it`, hint);
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw unusable(`${what} is http://: everybody on the way could read it`, hint);
  }
  return url;
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

export function unusable(message: string, hint: string): GranaryError {
  return new GranaryError('notification-refused', `no notification is sent: ${message}`, { hint });
}
