/** Every etcd that a seed names: its clusters, and the one for coordination; and the credentials that open them. */
import type { ClusterTls, Seed } from '../../model/config.ts';
import { childPointer } from '../pointer.ts';

export interface NamedEtcd {
  readonly endpoints: readonly string[];
  readonly tls: ClusterTls | null;
  readonly auth: { readonly credential: string } | null;
  /** Where it stands in the Seed. */
  readonly pointer: string;
}

export function etcdsOf({ clusters, coordination }: Seed): NamedEtcd[] {
  return [
    ...clusters.map(({ endpoints, tls, auth }, index) => ({
      ...{ endpoints, tls, auth },
      pointer: childPointer('/spec/clusters', index),
    })),
    ...(coordination === null ? [] : [{ ...coordination, pointer: '/spec/coordination' }]),
  ];
}

export interface EtcdCredential {
  readonly use: 'tls' | 'auth';
  readonly name: string;
  readonly pointer: string;
}

export function etcdCredentials(seed: Seed): EtcdCredential[] {
  return etcdsOf(seed).flatMap(({ tls, auth, pointer }) =>
    (['tls', 'auth'] as const).flatMap((use) => {
      const name = (use === 'tls' ? tls : auth)?.credential ?? null;
      return name === null ? [] : [{ use, name, pointer: `${pointer}/${use}/credential` }];
    }),
  );
}
