import { readSmallFile } from '../config/files.ts';
import type { EtcdTarget, EtcdTls } from '../etcd/target.ts';
import type { Cluster, ClusterTls, Coordination } from '../model/config.ts';
import { GranaryError } from '../model/errors.ts';
import { Secret } from '../secrets/secret.ts';
import type { Credentials } from './credentials.ts';

/** Bundles of all authorities have some hundred KiB. */
const mostPemBytes = 2 ** 22;

/**
 * A cluster of the configuration with its secrets open.
 * @param seed name of the seed it belongs to
 * @throws GranaryError `file-unreadable`, `config-invalid`, and what opening a credential throws
 */
export async function etcdTarget(
  seed: string,
  cluster: Cluster,
  credentials: Credentials,
): Promise<EtcdTarget> {
  return openTarget(`${seed}/${cluster.name}`, cluster, credentials);
}

/** As `etcdTarget`, of the etcd that replicas of the seed share the work through. */
export async function coordinationTarget(
  seed: string,
  coordination: Coordination,
  credentials: Credentials,
): Promise<EtcdTarget> {
  return openTarget(`the coordination of ${seed}`, coordination, credentials);
}

async function openTarget(
  name: string,
  { endpoints, tls, auth }: Pick<Cluster, 'endpoints' | 'tls' | 'auth'>,
  credentials: Credentials,
): Promise<EtcdTarget> {
  return {
    name,
    endpoints,
    tls: tls === null ? null : await openTls(tls, credentials),
    auth: auth === null ? null : await openAuth(auth.credential, credentials),
  };
}

async function openTls(tls: ClusterTls, credentials: Credentials): Promise<EtcdTls> {
  const { serverName } = tls;
  if (tls.credential !== null) {
    const values = await credentials.open(tls.credential);
    return {
      ca: values.get('caCertificate')?.reveal() ?? null,
      certificate: values.get('certificate')?.reveal() ?? null,
      key: values.get('key') ?? null,
      serverName,
    };
  }
  const [ca, certificate, key] = await Promise.all([tls.caFile, tls.certFile, tls.keyFile].map(readPem));
  return {
    ca: ca ?? null,
    certificate: certificate ?? null,
    key: key == null ? null : new Secret(key),
    serverName,
  };
}

async function readPem(file: string | null): Promise<string | null> {
  if (file === null) return null;
  try {
    const text = await readSmallFile(file, mostPemBytes);
    if (text !== null) return text;
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : 'cannot be read';
    throw new GranaryError('file-unreadable', `${file} ${why}`, {
      hint: 'caFile, certFile and keyFile are paths on the machine where Granary runs',
      cause: error,
      context: { file },
    });
  }
  throw new GranaryError('file-unreadable', `${file} is no PEM file`, {
    hint: 'caFile, certFile and keyFile are paths on the machine where Granary runs',
    context: { file },
  });
}

async function openAuth(credential: string, credentials: Credentials): Promise<EtcdTarget['auth']> {
  const values = await credentials.open(credential);
  const username = values.get('username');
  const password = values.get('password');
  if (username === undefined || password === undefined) {
    throw new GranaryError('config-invalid', `credential ${credential} lacks username or password`, {
      hint: 'an etcd user needs both; `sops edit` adds them to the file',
    });
  }
  return { username: username.reveal(), password };
}
