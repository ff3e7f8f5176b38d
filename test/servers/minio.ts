/** A real S3 server, with a bucket for whoever asks. */
import { copyFileSync, mkdirSync } from 'node:fs';
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
import { makeCertificates } from './certificates.ts';
import { freePorts } from './ports.ts';
import { type ServerProcess, StartFailure, startProcess } from './process.ts';
import { tempFolder } from './temp.ts';
import { requireTool } from './tools.ts';

export interface MinioServer extends AsyncDisposable {
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

const accessKeyId = 'granary-test';
const secretAccessKey = 'granary-test-secret';
const region = 'us-east-1';
const portAttempts = 5;

/** Starts MinIO and returns when it answers. */
export async function startMinio(options: { readonly tls?: boolean } = {}): Promise<MinioServer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(options.tls ?? false);
    } catch (error) {
      if (!(error instanceof StartFailure && error.portTaken) || attempt === portAttempts) throw error;
    }
  }
}

async function startOnce(tls: boolean): Promise<MinioServer> {
  const folder = tempFolder('minio');
  try {
    const [port, consolePort] = await freePorts(2);
    const certificates = tls ? makeCertificates(folder.path) : undefined;
    const certs = folder.join('certs');
    mkdirSync(certs);
    if (certificates !== undefined) {
      copyFileSync(certificates.server.certFile, folder.join('certs', 'public.crt'));
      copyFileSync(certificates.server.keyFile, folder.join('certs', 'private.key'));
    }
    const endpoint = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
    const server = await startProcess({
      name: 'minio',
      command: requireTool('minio'),
      args: [
        ...[
          'server',
          '--quiet',
          '--address',
          `127.0.0.1:${port}`,
          '--console-address',
          `127.0.0.1:${consolePort}`,
        ],
        ...['--certs-dir', certs, folder.join('data')],
      ],
      env: {
        PATH: process.env.PATH,
        HOME: folder.path,
        MINIO_ROOT_USER: accessKeyId,
        MINIO_ROOT_PASSWORD: secretAccessKey,
        MINIO_UPDATE: 'off',
        MINIO_BROWSER: 'off',
      },
      ready: (signal) => isReady(`${endpoint}/minio/health/ready`, certificates?.caCertificate, signal),
      folders: [folder.path],
    });
    const client = makeClient(endpoint, certificates?.caCertificate);
    const stop = async () => {
      client.destroy();
      await server.stop();
      folder.remove();
    };
    return makeServer(server, client, endpoint, certificates, stop);
  } catch (error) {
    folder.remove();
    throw error;
  }
}

function makeServer(
  server: ServerProcess,
  client: S3Client,
  endpoint: string,
  certificates: { readonly caCertificate: string; readonly caFile: string } | undefined,
  stop: () => Promise<void>,
): MinioServer {
  return {
    endpoint,
    region,
    accessKeyId,
    secretAccessKey,
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

function makeClient(endpoint: string, ca: string | undefined): S3Client {
  return new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    ...(ca === undefined ? {} : { requestHandler: new NodeHttpHandler({ httpsAgent: new Agent({ ca }) }) }),
  });
}

/** fetch takes no authority of one's own, so this asks with the older client. */
function isReady(url: string, ca: string | undefined, signal: AbortSignal): Promise<boolean> {
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
