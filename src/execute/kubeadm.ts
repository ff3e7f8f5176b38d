/** The etcd of a control-plane node, as kubeadm's files on that node say it. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readApiServerPod, readEtcdPod } from '../config/static-pod.ts';
import { GranaryError } from '../model/errors.ts';
import type { EtcdLogin } from './etcd-login.ts';

/** Where kubeadm writes, and what its manifests call it wherever the folder was copied to. */
export const kubernetesFolder = '/etc/kubernetes';

/**
 * How to reach the etcd of this node, with the certificate that kubeadm makes for clients that only look
 * (`healthcheck-client`), else the API server's own.
 * @throws GranaryError `file-unreadable` where it is no control-plane node with an etcd of its own
 */
export async function kubeadmLogin(folder: string): Promise<EtcdLogin> {
  const manifest = join(folder, 'manifests/etcd.yaml');
  const text = await readOptional(manifest);
  if (text === null) throw await withoutEtcd(folder, manifest);
  const pod = readEtcdPod(text, manifest);
  const here = (path: string) =>
    path.startsWith(`${kubernetesFolder}/`) ? join(folder, path.slice(kubernetesFolder.length)) : path;
  const ca = here(pod.caFile ?? `${kubernetesFolder}/pki/etcd/ca.crt`);
  const candidates = [
    [join(dirname(ca), 'healthcheck-client.crt'), join(dirname(ca), 'healthcheck-client.key')],
    [join(dirname(ca), '../apiserver-etcd-client.crt'), join(dirname(ca), '../apiserver-etcd-client.key')],
    ...(pod.certFile !== null && pod.keyFile !== null ? [[here(pod.certFile), here(pod.keyFile)]] : []),
  ];
  // The member's own URL first: it is what the other members name too. The loopback one may be all that answers.
  const endpoints = [...new Set([...pod.advertised, ...pod.listening])];
  if (endpoints.every((url) => url.startsWith('http://'))) return { endpoints: endpoints.join(',') };
  for (const [cert = '', key = ''] of candidates) {
    if ((await readOptional(cert)) === null || (await readOptional(key)) === null) continue;
    return { endpoints: endpoints.join(','), cacert: ca, cert, key };
  }
  throw new GranaryError('file-unreadable', `no client certificate for etcd is in ${dirname(ca)}`, {
    hint: 'name one: --endpoints URL --cacert FILE --cert FILE --key FILE',
    context: { folder },
  });
}

async function withoutEtcd(folder: string, manifest: string): Promise<GranaryError> {
  const apiServer = join(folder, 'manifests/kube-apiserver.yaml');
  const text = await readOptional(apiServer);
  const flags = text === null ? null : readApiServerPod(text, apiServer);
  if (flags === null || flags.servers === null)
    return new GranaryError('file-unreadable', `${manifest} does not exist`, {
      hint: 'run it on a control-plane node, or name the members with --endpoints',
      context: { folder },
    });
  const { servers, caFile, certFile, keyFile } = flags;
  const files = [
    ['--cacert', caFile],
    ['--cert', certFile],
    ['--key', keyFile],
  ].flatMap(([flag, file]) => (file ? [`${flag} ${file}`] : []));
  return new GranaryError('file-unreadable', `the etcd of this cluster is not on this node: ${servers}`, {
    hint: ['`granary init --endpoints', servers, ...files].join(' ').concat('`'),
    context: { folder },
  });
}

/** Null where there is no such file. @throws GranaryError `file-unreadable` */
async function readOptional(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new GranaryError('file-unreadable', `${path} cannot be read (${code ?? 'unknown'})`, {
      hint: 'kubeadm’s files are for root alone: run it with sudo',
      cause,
    });
  }
}
