/** The running cluster that `--into` names: by its client URLs and flags, or as SEED/CLUSTER of the configuration. */

import type { EtcdTarget } from '../etcd/target.ts';
import type { EtcdLogin, Explain } from '../execute/etcd-login.ts';
import { asGranaryError, usage } from '../model/errors.ts';
import { parseClusterRef } from '../model/names.ts';
import type { Io } from './io.ts';
import type { KeyOptions, SourceOptions } from './options.ts';

export interface NamedEtcd {
  readonly target: EtcdTarget;
  readonly explain: Explain;
}

type IntoOptions = SourceOptions & KeyOptions & Omit<EtcdLogin, 'endpoints'>;

/**
 * @param into endpoints, or the name of a cluster, whose endpoints, TLS and user are then those of the configuration
 * @throws GranaryError `usage`, `unknown-object`, and what opening the configuration, its credentials or a file throws
 */
export async function openInto(io: Io, into: string, options: IntoOptions): Promise<NamedEtcd> {
  const { etcdLogin, loginError } = await import('../execute/etcd-login.ts');
  const ref = parseClusterRef(into);
  if (ref === undefined) {
    const target = await etcdLogin({ ...options, endpoints: into }, io.env);
    return { target, explain: loginError };
  }
  const { cacert, cert, key, user, passwordFile } = options;
  if ((cacert ?? cert ?? key ?? user ?? passwordFile) !== undefined)
    throw usage(
      `--into ${into} names a cluster of the configuration, which says how to sign in to it`,
      'leave out --cacert, --cert, --key, --user and --password-file, or name its endpoints',
    );
  const { openSession } = await import('./session.ts');
  const { clusterOf } = await import('../execute/workspace.ts');
  const { etcdTarget } = await import('../execute/etcd-target.ts');
  await using session = await openSession(io, options, ref.seed);
  const { desired, credentials } = session.workspace;
  const cluster = clusterOf(desired.configuration, ref.seed, ref.cluster);
  const target = await etcdTarget(ref.seed, cluster, credentials);
  return { target, explain: (thrown) => asGranaryError(thrown, 'etcd-failed') };
}
