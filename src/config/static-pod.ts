/** What the static pod of kubeadm's etcd says: its flags, and where its files lie on the node. */
import { parseDocument } from 'yaml';
import { GranaryError } from '../model/errors.ts';

export interface EtcdPod {
  /** Client URLs, as clients elsewhere reach the member. */
  readonly advertised: readonly string[];
  /** Client URLs that it listens on, as the node itself reaches it. */
  readonly listening: readonly string[];
  /** The path on the node of the authority that client certificates are signed by. */
  readonly caFile: string | null;
  /** Of the member's own certificate, which kubeadm makes for clients too. */
  readonly certFile: string | null;
  readonly keyFile: string | null;
}

/**
 * Reads a manifest as kubeadm writes it, whatever its version and the order of its flags.
 * @param file for errors
 * @throws GranaryError `file-unreadable` where it is no pod of etcd
 */
export function readEtcdPod(text: string, file: string): EtcdPod {
  const { flags, onNode } = readPod(text, file);
  const urls = (flag: string) =>
    (flags.get(flag) ?? '')
      .split(',')
      .map((url) => url.trim())
      .filter((url) => url !== '');
  const path = (flag: string) => {
    const inside = flags.get(flag);
    return inside === undefined ? null : onNode(inside);
  };
  const advertised = urls('advertise-client-urls');
  const listening = urls('listen-client-urls');
  if (advertised.length + listening.length === 0)
    throw new GranaryError('file-unreadable', `${file} is not the pod of an etcd: it names no client URL`, {
      hint: 'name the members with --endpoints instead',
    });
  return {
    advertised,
    listening,
    caFile: path('trusted-ca-file'),
    certFile: path('cert-file'),
    keyFile: path('key-file'),
  };
}

/** `--etcd-servers` and what belongs to it, of kube-apiserver's manifest: where an etcd stands that is not on the node. */
export function readApiServerPod(
  text: string,
  file: string,
): Readonly<Record<'servers' | 'caFile' | 'certFile' | 'keyFile', string | null>> {
  const { flags, onNode } = readPod(text, file);
  const path = (flag: string) => (flags.has(flag) ? onNode(flags.get(flag) ?? '') : null);
  return {
    servers: flags.get('etcd-servers') ?? null,
    caFile: path('etcd-cafile'),
    certFile: path('etcd-certfile'),
    keyFile: path('etcd-keyfile'),
  };
}

interface Pod {
  readonly flags: ReadonlyMap<string, string>;
  /** The path on the node of what the container sees at `path`. */
  onNode(path: string): string;
}

function readPod(text: string, file: string): Pod {
  const document = parseDocument(text);
  const [problem] = document.errors;
  const spec = problem === undefined ? mapping(mapping(document.toJS({ maxAliasCount: 100 })).spec) : {};
  const [container] = list(spec.containers).map(mapping);
  if (container === undefined)
    throw new GranaryError('file-unreadable', `${file} is not the manifest of a pod`, {
      hint: 'name the folder that holds manifests/etcd.yaml with --kubernetes-dir, or the members with --endpoints',
      cause: problem,
    });
  const words = [...list(container.command), ...list(container.args)].map(String);
  const hostPaths = new Map(
    list(spec.volumes)
      .map(mapping)
      .map((volume) => [String(volume.name), mapping(volume.hostPath).path]),
  );
  const mounts = list(container.volumeMounts)
    .map(mapping)
    .map(({ name, mountPath }) => [String(mountPath), hostPaths.get(String(name))] as const)
    .toSorted(([a], [b]) => b.length - a.length);
  return { flags: flagsOf(words), onNode: (path) => throughMounts(path, mounts) };
}

/** `--flag=value`, and `--flag value`. */
function flagsOf(words: readonly string[]): ReadonlyMap<string, string> {
  const flags = new Map<string, string>();
  words.forEach((word, index) => {
    const [, name, value] = /^--?([a-z][\w-]*)(?:=(.*))?$/s.exec(word) ?? [];
    if (name === undefined) return;
    const next = words[index + 1] ?? '';
    flags.set(name, value ?? (next.startsWith('-') ? '' : next));
  });
  return flags;
}

function throughMounts(path: string, mounts: readonly (readonly [string, unknown])[]): string {
  for (const [mountPath, hostPath] of mounts) {
    if (typeof hostPath !== 'string') continue;
    if (path === mountPath || path.startsWith(`${mountPath}/`))
      return hostPath + path.slice(mountPath.length);
  }
  return path;
}

function mapping(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
