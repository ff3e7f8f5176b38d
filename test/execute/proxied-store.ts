/** An etcd with one key, and a MinIO that is reached through a proxy which can do harm. */
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import { bucketName } from '../store/destinations.ts';
import { FaultProxy } from '../store/fault-proxy.ts';

export interface ProxiedStore extends AsyncDisposable {
  readonly etcd: EtcdServer;
  readonly minio: MinioServer;
  readonly proxy: FaultProxy;
  /** A fresh bucket, by the fields of a destination with credential `key`; the proxy does no harm until it is told to. */
  freshBucket(): Promise<ProxiedBucket>;
}

export type ProxiedBucket = ReturnType<typeof destinationOf>;

export async function startProxiedStore(): Promise<ProxiedStore> {
  await using stack = new AsyncDisposableStack();
  const [etcd, minio] = await Promise.all([
    startEtcd({ version: '3.6' }).then((server) => stack.adopt(server, () => server.stop())),
    startMinio().then((server) => stack.adopt(server, () => server.stop())),
  ]);
  await etcd.etcdctl('put', 'a', '1');
  const proxy = stack.use(await FaultProxy.start(minio.endpoint));
  const started = stack.move();
  return {
    ...{ etcd, minio, proxy },
    freshBucket: async () => {
      const bucket = bucketName();
      await minio.createBucket(bucket);
      proxy.decide = () => null;
      proxy.seen.length = 0;
      return destinationOf(bucket, minio, proxy);
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

function destinationOf(bucket: string, { region }: MinioServer, { endpoint }: FaultProxy) {
  return { provider: 's3', bucket, region, endpoint, forcePathStyle: true, credential: 'key' };
}
