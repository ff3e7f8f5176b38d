/** Which etcd, how to reach it, and as whom: what a cluster of the configuration comes to once its secrets are open. */
import { isIP } from 'node:net';
import { GranaryError } from '../model/errors.ts';
import type { Secret } from '../secrets/secret.ts';

export interface EtcdTarget {
  /** `seed/cluster`, for messages. */
  readonly name: string;
  /** `http://` or `https://` client URLs, one a member. */
  readonly endpoints: readonly string[];
  /** Only used for `https` endpoints; null there means the system's authorities and no client certificate. */
  readonly tls: EtcdTls | null;
  readonly auth: EtcdAuth | null;
}

export interface EtcdTls {
  /** PEM, one or more; null: the system's authorities. */
  readonly ca: string | null;
  /** PEM; together with `key`. */
  readonly certificate: string | null;
  readonly key: Secret | null;
  /** The name that the server's certificate must have, where it is not the endpoint's own. */
  readonly serverName: string | null;
}

export interface EtcdAuth {
  readonly username: string;
  readonly password: Secret;
}

/** A client URL taken apart. */
export interface Endpoint {
  readonly url: string;
  readonly secure: boolean;
  /** A name or an address, the latter without brackets. */
  readonly host: string;
  readonly port: number;
  readonly isAddress: boolean;
}

/**
 * Takes a client URL apart.
 * @throws GranaryError `config-invalid`
 */
export function parseEndpoint(url: string): Endpoint {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const plain = parsed?.username === '' && parsed.password === '' && parsed.hostname !== '';
  if (parsed === undefined || !plain || (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')) {
    throw new GranaryError(
      'config-invalid',
      'an etcd endpoint is not a http:// or https:// URL with a host',
      {
        hint: 'write it like https://10.0.0.1:2379; user and password belong in a credential',
      },
    );
  }
  const secure = parsed.protocol === 'https:';
  const host = parsed.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = parsed.port === '' ? (secure ? 443 : 80) : Number(parsed.port);
  return { url, secure, host, port, isAddress: isIP(host) !== 0 };
}
