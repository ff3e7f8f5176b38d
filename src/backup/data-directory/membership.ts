/**
 * The members of the cluster that a snapshot becomes. Ids are computed as etcd computes them when it starts anew with
 * the same flags, so that members which were written on different machines find one another (reference "Restore").
 */
import { createHash } from 'node:crypto';
import { usage } from '../../model/errors.ts';

/** As etcdutl's flags of the same names say it. */
export interface MembershipFlags {
  /** Which of the members it is; undefined: the only one there is, else `default`. */
  readonly name?: string | undefined;
  /** `m1=https://10.0.0.1:2380,m2=…`; undefined: this member alone. */
  readonly initialCluster?: string | undefined;
  /** Default: `etcd-cluster`, as etcd has it. */
  readonly initialClusterToken?: string | undefined;
  /** Of this member, separated by commas; undefined: what the cluster says, else `http://localhost:2380`. */
  readonly initialAdvertisePeerUrls?: string | undefined;
}

export interface Member {
  readonly id: bigint;
  readonly name: string;
  /** In alphabetical order. */
  readonly peerUrls: readonly string[];
}

export interface Membership {
  readonly clusterId: bigint;
  /** By ascending id. */
  readonly members: readonly Member[];
  /** The member that the directory is for. */
  readonly self: Member;
  readonly token: string;
}

const defaultName = 'default';
const defaultPeerUrl = 'http://localhost:2380';
const defaultToken = 'etcd-cluster';

/** @throws GranaryError `usage` where the flags do not fit together */
export function membershipOf(flags: MembershipFlags): Membership {
  const token = flags.initialClusterToken ?? defaultToken;
  const advertised = flags.initialAdvertisePeerUrls?.split(',').map(peerUrl);
  const urls =
    flags.initialCluster === undefined
      ? new Map([[nameOf(flags), advertised ?? [defaultPeerUrl]]])
      : parseInitialCluster(flags.initialCluster);
  requireDistinct(urls);
  const members = [...urls]
    .map(([name, peerUrls]) => memberOf(name, peerUrls, token))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  const self = selfOf(members, flags.name);
  if (advertised !== undefined && !isSame(advertised, self.peerUrls)) {
    throw usage(
      `--initial-advertise-peer-urls and --initial-cluster name different URLs for ${self.name}`,
      `--initial-cluster has ${self.peerUrls.join(', ')} for it`,
    );
  }
  return { clusterId: idOf(members.map(({ id }) => idBytes(id))), members, self, token };
}

/** Unpadded hex, as etcd writes ids. */
export function hexId(id: bigint): string {
  return id.toString(16);
}

/** `m1=https://10.0.0.1:2380,m2=…`, as `--initial-cluster` of etcd takes it. */
export function initialClusterOf({ members }: Membership): string {
  return members
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(({ name, peerUrls }) => peerUrls.map((url) => `${name}=${url}`))
    .join(',');
}

function selfOf(members: readonly Member[], name: string | undefined): Member {
  const [only] = members;
  const self = members.find((one) => one.name === name) ?? (name === undefined ? only : undefined);
  const names = members.map((one) => one.name).sort();
  if (self === undefined) {
    throw usage(`--initial-cluster has no member ${name}`, `it has ${names.join(', ')}`);
  }
  if (name === undefined && members.length > 1) {
    throw usage('--initial-cluster has several members', `say which this is: --name ${names.join(' or ')}`);
  }
  return self;
}

/** etcd reads it in `--initial-cluster` too, where these signs have a meaning. */
function nameOf({ name = defaultName }: MembershipFlags): string {
  if (name !== '' && !/[,=]/.test(name)) return name;
  throw usage(`\`${name}\` is no name of a member`, 'write it as m1, without comma and equals sign');
}

/** A name may stand there several times, once for each of its URLs. */
function parseInitialCluster(text: string): Map<string, string[]> {
  const urls = new Map<string, string[]>();
  for (const part of text.split(',')) {
    const [, name = '', url = ''] = /^\s*([^=]*)=(.*)$/.exec(part) ?? [];
    if (name === '' || url === '') {
      throw usage(
        `\`${part}\` in --initial-cluster is no member`,
        'write NAME=URL, as m1=https://10.0.0.1:2380, with commas between members',
      );
    }
    urls.set(name, [...(urls.get(name) ?? []), peerUrl(url)]);
  }
  return urls;
}

/** Two members with one URL would be one: nothing could be told to the other. */
function requireDistinct(urls: ReadonlyMap<string, readonly string[]>): void {
  const owners = new Map<string, string>();
  for (const [name, own] of urls) {
    for (const url of own) {
      const other = owners.get(url);
      if (other !== undefined)
        throw usage(`${url} stands twice in --initial-cluster`, 'each member has a peer URL of its own');
      owners.set(url, name);
    }
  }
}

/** Scheme, host and port, as etcd takes them: anything else would make another id. */
function peerUrl(written: string): string {
  const text = written.trim();
  const [, scheme = '', host = ''] = /^(https?):\/\/([^/?#@]+)$/.exec(text) ?? [];
  if (scheme === '' || !/:\d{1,5}$/.test(host) || !URL.canParse(text)) {
    throw usage(`\`${text}\` is no peer URL`, 'write scheme, host and port alone, as https://10.0.0.1:2380');
  }
  return text;
}

function memberOf(name: string, urls: readonly string[], token: string): Member {
  const peerUrls = urls.toSorted();
  return { id: idOf([Buffer.from(peerUrls.join('')), Buffer.from(token)]), name, peerUrls };
}

/** The first 8 bytes of the SHA-1. */
function idOf(parts: readonly Uint8Array[]): bigint {
  return createHash('sha1').update(Buffer.concat(parts)).digest().readBigUInt64BE(0);
}

function idBytes(id: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(id);
  return bytes;
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.toSorted().join() === b.toSorted().join();
}
