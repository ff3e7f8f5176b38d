/** Fills an etcd with keys like those of a Kubernetes cluster: reproducible, and about as compressible as real ones. */
import { createCipheriv, createHash } from 'node:crypto';
import type { EtcdServer } from './etcd.ts';
import { connectKv, type Put } from './kv-client.ts';

export interface FillOptions {
  readonly keys: number;
  /** Bytes of each value. Default 1000. */
  readonly valueBytes?: number;
  /** The same seed gives the same keys and values. Default 1. */
  readonly seed?: number;
  /** Default `/registry`. */
  readonly prefix?: string;
  /** `json`, or `kubernetes`: the prefix `k8s\0` that values in protobuf have there. Default `kubernetes`. */
  readonly format?: 'json' | 'kubernetes';
}

export interface Filled {
  readonly keys: number;
  /** Of keys and values together. */
  readonly bytes: number;
}

const kinds = ['pods', 'configmaps', 'secrets', 'events', 'replicasets', 'leases', 'services/specs'];
const namespaces = ['default', 'kube-system', 'shop', 'payments', 'search', 'monitoring'];
const putsPerTransaction = 100;
// etcd takes requests of 1.5 MiB.
const bytesPerTransaction = 1_000_000;
const transactionsInFlight = 8;
/** The rest of a value repeats, so that a cluster's worth of them compresses to about a sixth. */
const randomShare = 1 / 6.5;

/** Writes the keys through one member and returns when all are committed. */
export async function fillEtcd(server: EtcdServer, options: FillOptions): Promise<Filled> {
  using client = await connectKv(server);
  let keys = 0;
  let bytes = 0;
  const batches = batchesOf(kubernetesLikeKeys(options));
  const worker = async () => {
    // The workers share one iterator: each takes the next batch.
    for (const batch of batches) {
      await client.putAll(batch);
      keys += batch.length;
      for (const { key, value } of batch) bytes += key.length + value.length;
    }
  };
  await Promise.all(Array.from({ length: transactionsInFlight }, worker));
  return { keys, bytes };
}

/** The keys that `fillEtcd` writes, one after another. */
export function* kubernetesLikeKeys(options: FillOptions): Generator<Put, void, undefined> {
  const { keys, valueBytes = 1_000, seed = 1, prefix = '/registry', format = 'kubernetes' } = options;
  const random = seededBytes(seed);
  for (let index = 0; index < keys; index++) {
    const kind = kinds[index % kinds.length] ?? '';
    const namespace = namespaces[Math.floor(index / kinds.length) % namespaces.length] ?? '';
    const name = `${kind.split('/')[0]}-${String(index).padStart(7, '0')}-${random(4).toString('hex')}`;
    yield {
      key: Buffer.from(`${prefix}/${kind}/${namespace}/${name}`),
      value: makeValue(kind, namespace, name, index, valueBytes, format, random),
    };
  }
}

function makeValue(
  kind: string,
  namespace: string,
  name: string,
  index: number,
  size: number,
  format: 'json' | 'kubernetes',
  random: (length: number) => Buffer,
): Buffer {
  const value = Buffer.alloc(size, ' ');
  const magic = format === 'kubernetes' ? 'k8s\0' : '';
  const uid = random(16).toString('hex');
  const secret = random(Math.floor(size * randomShare)).toString('base64');
  const metadata = {
    name,
    namespace,
    uid,
    generation: 1,
    resourceVersion: String(index),
    labels: { app: name },
  };
  const head = JSON.stringify({ kind, apiVersion: 'v1', metadata, payload: secret });
  // Written over the blanks and cut to size; a short value keeps its beginning, as a truncated object would.
  value.write(magic + head, 'latin1');
  for (let at = magic.length + head.length; at < size; at += filler.length) value.write(filler, at, 'latin1');
  return value;
}

const filler = JSON.stringify({
  managedFields: [
    { manager: 'kube-controller-manager', operation: 'Update', apiVersion: 'v1', fieldsType: 'FieldsV1' },
  ],
  conditions: ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map((type) => ({
    type,
    status: 'True',
  })),
});

/** Random bytes that depend on the seed alone: the key stream of AES, which is as fast as it gets in Node. */
function seededBytes(seed: number): (length: number) => Buffer {
  const key = createHash('sha256').update(`granary test keys ${seed}`).digest();
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  return (length) => cipher.update(Buffer.alloc(length));
}

function* batchesOf(puts: Iterable<Put>): Generator<Put[], void, undefined> {
  let batch: Put[] = [];
  let bytes = 0;
  for (const put of puts) {
    const size = put.key.length + put.value.length;
    if (batch.length > 0 && (batch.length === putsPerTransaction || bytes + size > bytesPerTransaction)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(put);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}
