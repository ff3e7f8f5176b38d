/** An etcd that runs, asked once for what a Seed must say of it. Nothing of this is asked again later. */
import { resolve } from 'node:path';
import type { Member } from '../etcd/answers.ts';
import { memberCertificateNames } from '../etcd/certificate.ts';
import { connectMember, type MemberConnection } from '../etcd/connection.ts';
import type { EtcdTarget } from '../etcd/target.ts';
import { asGranaryError, type GranaryError, isGranaryError } from '../model/errors.ts';
import { type EtcdLogin, etcdLogin, loginError } from './etcd-login.ts';

export interface DiscoveredMember {
  readonly name: string;
  /** The client URL that goes into the Seed. */
  readonly endpoint: string;
  /** Of the server; null where it did not answer. */
  readonly version: string | null;
}

export interface Discovered {
  readonly members: readonly DiscoveredMember[];
  /** Paths on this machine, absolute; null where none were named. */
  readonly tls: {
    readonly caFile: string | null;
    readonly certFile: string | null;
    readonly keyFile: string | null;
    /** What all certificates are for, where one of them is not for its URL. */
    readonly serverName: string | null;
  };
  /** Null where etcd was asked without a user. */
  readonly auth: EtcdTarget['auth'];
  /** What a person should look at. */
  readonly warnings: readonly string[];
}

interface Options {
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

/**
 * @throws GranaryError where no endpoint answers, or etcd does not let this user take hashes, which is the right that
 *   a snapshot needs too; as `etcdLogin`
 */
export async function discoverCluster(login: EtcdLogin, { env, signal }: Options): Promise<Discovered> {
  const warnings: string[] = [];
  const given = await etcdLogin(login, env);
  const { target, members } = await asked(given, warnings, signal);
  const found: DiscoveredMember[] = [];
  const names: { readonly url: string; readonly fits: boolean; readonly names: readonly string[] }[] = [];
  for (const member of members) {
    const name = member.name === '' ? `member ${member.id}` : member.name;
    if (member.isLearner) {
      warnings.push(`${name} is a learner, from which no backup can be taken: it was left out`);
      continue;
    }
    if (member.clientUrls.length === 0) {
      warnings.push(`${name} has not started, so that its client URL is not known: add it to \`endpoints\``);
      continue;
    }
    const reached = await reach(target, member.clientUrls, signal);
    if (reached.certificate !== null) names.push({ url: reached.endpoint, ...reached.certificate });
    if (reached.error !== null && reached.certificate?.fits !== false)
      warnings.push(`${name} does not answer at ${reached.endpoint}: ${reached.error.message}`);
    found.push({ name, endpoint: reached.endpoint, version: reached.version });
  }
  const serverName = serverNameFor(names, warnings);
  if (serverName !== null) {
    const named = { ...target, tls: { ca: null, certificate: null, key: null, ...target.tls, serverName } };
    for (const [index, member] of found.entries()) {
      if (member.version !== null) continue;
      const { version } = await reach(named, [member.endpoint], signal);
      found[index] = { ...member, version };
    }
  }
  const all = [...new Set(warnings)];
  return {
    members: reachable(found, target, members, all),
    tls: { ...filesOf(login), serverName },
    auth: target.auth,
    warnings: all,
  };
}

/** Where the certificate is for another host than the one that was typed, it is asked by a name that it is for. */
async function asked(given: EtcdTarget, warnings: string[], signal: AbortSignal) {
  try {
    return { target: given, members: await askedMembers(given, signal) };
  } catch (error) {
    if (!isGranaryError(error, 'etcd-tls')) throw error;
    const names = [];
    for (const url of given.endpoints) {
      const certificate = await memberCertificateNames(given, url, { signal }).catch(() => null);
      if (certificate !== null) names.push({ url, ...certificate });
    }
    const serverName = serverNameFor(names, warnings);
    if (serverName === null) throw error;
    const tls = given.tls ?? { ca: null, certificate: null, key: null };
    const target = { ...given, tls: { ...tls, serverName } };
    return { target, members: await askedMembers(target, signal) };
  }
}

/** The members as the first endpoint knows that answers and lets this user take a hash. */
async function askedMembers(target: EtcdTarget, signal: AbortSignal): Promise<Member[]> {
  let failure: unknown;
  for (const endpoint of target.endpoints) {
    let connection: MemberConnection | undefined;
    try {
      connection = await connectMember(target, endpoint, { signal });
      const members = await connection.memberList({ signal });
      const { isLearner } = await connection.status({ signal });
      // A learner takes no hashes; another endpoint may be a voting member.
      if (!isLearner) await connection.hashKV(0, { signal });
      return members;
    } catch (error) {
      signal.throwIfAborted();
      failure ??= error;
    } finally {
      connection?.close();
    }
  }
  throw withFlags(loginError(failure));
}

function withFlags(error: GranaryError): GranaryError {
  if (error.code !== 'etcd-permission' && error.code !== 'etcd-auth') return error;
  return error.withHint(
    'etcd has authentication on, and a snapshot needs the role root: give --user NAME and --password-file FILE',
  );
}

/** The first of a member's URLs that answers; where none does, its first. */
async function reach(target: EtcdTarget, urls: readonly string[], signal: AbortSignal) {
  let first: GranaryError | null = null;
  for (const endpoint of urls) {
    try {
      using connection = await connectMember(target, endpoint, { signal });
      const { version } = await connection.status({ signal });
      const certificate = await memberCertificateNames(target, endpoint, { signal });
      return { endpoint, version, certificate, error: null };
    } catch (error) {
      signal.throwIfAborted();
      first ??= asGranaryError(error, 'etcd-failed');
    }
  }
  const [endpoint = ''] = urls;
  const certificate = await memberCertificateNames(target, endpoint, { signal }).catch(() => null);
  return { endpoint, version: null, certificate, error: first };
}

/** Where the members' own URLs lead nowhere from here, those that were given do. */
function reachable(
  found: readonly DiscoveredMember[],
  target: EtcdTarget,
  members: readonly Member[],
  warnings: string[],
): readonly DiscoveredMember[] {
  if (found.some(({ version }) => version !== null)) return found;
  const urls = members.flatMap(({ clientUrls }) => clientUrls).join(', ');
  warnings.push(
    `none of the client URLs that the members name is reached from here (${urls}): the given ones were written`,
  );
  return target.endpoints.map((endpoint, index) => ({
    name: found[index]?.name ?? `endpoint ${index + 1}`,
    endpoint,
    version: null,
  }));
}

/** One name for `serverName` holds for all members: it must be in every certificate. */
function serverNameFor(
  certificates: readonly {
    readonly url: string;
    readonly fits: boolean;
    readonly names: readonly string[];
  }[],
  warnings: string[],
): string | null {
  const unfit = certificates.filter(({ fits }) => !fits);
  if (unfit.length === 0) return null;
  const [first, ...others] = certificates;
  const common = (first?.names ?? []).filter((name) => others.every(({ names }) => names.includes(name)));
  const isHost = (name: string) => !/^[\d.:]+$/.test(name) && !name.includes('*') && !name.includes(':');
  const chosen = common
    .filter(isHost)
    .toSorted((a, b) => Number(a === 'localhost') - Number(b === 'localhost'))[0];
  for (const { url, names } of unfit) {
    const shown = names.length === 0 ? 'no name at all' : names.join(', ');
    const what = `the certificate of ${url} is not for that host, but for ${shown}`;
    warnings.push(
      chosen === undefined
        ? `${what}; no name is in all certificates, so that \`tls.serverName\` cannot help: issue it anew`
        : `${what}: it is asked as ${chosen}, \`tls.serverName\` of the seed where that is needed`,
    );
  }
  return chosen ?? null;
}

function filesOf({ cacert, cert, key }: EtcdLogin) {
  const path = (file: string | undefined) => (file === undefined ? null : resolve(file));
  return { caFile: path(cacert), certFile: path(cert), keyFile: path(key) };
}
