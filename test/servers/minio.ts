/** A real S3 server, with a bucket for whoever asks. */
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync } from 'node:fs';
import { makeCertificates } from './certificates.ts';
import { freePorts } from './ports.ts';
import { StartFailure, startProcess } from './process.ts';
import { answers, makeS3Server, type S3Server } from './s3-server.ts';
import { tempFolder } from './temp.ts';
import { requireTool } from './tools.ts';

export type MinioServer = S3Server;

export interface MinioOptions {
  readonly tls?: boolean;
  /** Name of the key that it encrypts objects with; without one it refuses server-side encryption. */
  readonly kmsKey?: string;
}

const accessKeyId = 'granary-test';
const secretAccessKey = 'granary-test-secret';
const region = 'us-east-1';
const portAttempts = 5;

/** Starts MinIO and returns when it answers. */
export async function startMinio(options: MinioOptions = {}): Promise<MinioServer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(options);
    } catch (error) {
      if (!(error instanceof StartFailure && error.portTaken) || attempt === portAttempts) throw error;
    }
  }
}

async function startOnce({ tls = false, kmsKey }: MinioOptions): Promise<MinioServer> {
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
        ...(kmsKey !== undefined && {
          MINIO_KMS_SECRET_KEY: `${kmsKey}:${randomBytes(32).toString('base64')}`,
        }),
      },
      ready: (signal) => answers(`${endpoint}/minio/health/ready`, certificates?.caCertificate, signal),
      folders: [folder.path],
    });
    const access = { endpoint, region, accessKeyId, secretAccessKey, certificates };
    return makeS3Server(server, access, () => folder.remove());
  } catch (error) {
    folder.remove();
    throw error;
  }
}
