/** What every S3 server of the tests offers, and a client of the SDK beside the code under test. */
import { request as httpRequest } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import {
  AbortMultipartUploadCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectsCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { ServerProcess } from './process.ts';

export interface S3Server extends AsyncDisposable {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** PEM of the authority that signed the server's certificate; undefined without TLS. */
  readonly caCertificate: string | undefined;
  readonly caFile: string | undefined;
  readonly pid: number;
  /** For a test's own requests beside the code under test. Closed with the server. */
  readonly client: S3Client;
  createBucket(name: string, options?: { versioning?: boolean; objectLock?: boolean }): Promise<void>;
  /** Removes a bucket with all it holds: versions and unfinished uploads too. */
  removeBucket(name: string): Promise<void>;
  log(): string;
  kill(signal: NodeJS.Signals): boolean;
  stop(): Promise<void>;
}

export interface S3Access {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly certificates: { readonly caCertificate: string; readonly caFile: string } | undefined;
}

/** @param release frees what belongs to the server beside its process */
export function makeS3Server(server: ServerProcess, access: S3Access, release: () => void): S3Server {
  const { certificates, ...known } = access;
  const client = makeClient(access);
  const stop = async () => {
    client.destroy();
    await server.stop();
    release();
  };
  return {
    ...known,
    caCertificate: certificates?.caCertificate,
    caFile: certificates?.caFile,
    pid: server.pid,
    client,
    createBucket: async (name, { versioning = false, objectLock = false } = {}) => {
      await client.send(new CreateBucketCommand({ Bucket: name, ObjectLockEnabledForBucket: objectLock }));
      if (!versioning) return;
      const VersioningConfiguration = { Status: 'Enabled' } as const;
      await client.send(new PutBucketVersioningCommand({ Bucket: name, VersioningConfiguration }));
    },
    removeBucket: (name) => removeBucket(client, name),
    log: () => server.log(),
    kill: (signal) => server.kill(signal),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function removeBucket(client: S3Client, bucket: string): Promise<void> {
  for (;;) {
    const page = await client.send(new ListObjectVersionsCommand({ Bucket: bucket }));
    const objects = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])];
    if (objects.length === 0) break;
    const result = await client.send(
      new DeleteObjectsCommand({
        Bucket: bucket,
        BypassGovernanceRetention: true,
        Delete: { Quiet: true, Objects: objects.map(({ Key, VersionId }) => ({ Key, VersionId })) },
      }),
    );
    const [refused] = result.Errors ?? [];
    if (refused !== undefined) throw new Error(`bucket ${bucket}: ${refused.Key}: ${refused.Message}`);
  }
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  for (const { Key, UploadId } of Uploads) {
    await client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId }));
  }
  await client.send(new DeleteBucketCommand({ Bucket: bucket }));
}

function makeClient({ endpoint, region, accessKeyId, secretAccessKey, certificates }: S3Access): S3Client {
  const ca = certificates?.caCertificate;
  return new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    ...(ca === undefined ? {} : { requestHandler: new NodeHttpHandler({ httpsAgent: new Agent({ ca }) }) }),
  });
}

/** Whether a health page answers 200. fetch takes no authority of one's own, so this asks with the older client. */
export function answers(url: string, ca: string | undefined, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const request =
      ca === undefined ? httpRequest(url, { signal }) : httpsRequest(url, { signal, ca, agent: false });
    request.once('error', reject);
    request.once('response', (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.end();
  });
}
