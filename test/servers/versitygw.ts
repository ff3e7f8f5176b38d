/** Another S3 server, which keeps more of the conditions than MinIO does and words its refusals otherwise. */
import { mkdirSync } from 'node:fs';
import { freePorts } from './ports.ts';
import { StartFailure, startProcess } from './process.ts';
import { answers, makeS3Server, type S3Server } from './s3-server.ts';
import { tempFolder } from './temp.ts';
import { requireTool } from './tools.ts';

const accessKeyId = 'granary-test';
const secretAccessKey = 'granary-test-secret';
const region = 'us-east-1';
const portAttempts = 5;

/** Starts versitygw over a folder and returns when it answers. */
export async function startVersitygw(): Promise<S3Server> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce();
    } catch (error) {
      if (!(error instanceof StartFailure && error.portTaken) || attempt === portAttempts) throw error;
    }
  }
}

async function startOnce(): Promise<S3Server> {
  const folder = tempFolder('versitygw');
  try {
    const [port, adminPort] = await freePorts(2);
    for (const part of ['iam', 'versions', 'data']) mkdirSync(folder.join(part));
    const endpoint = `http://127.0.0.1:${port}`;
    const server = await startProcess({
      name: 'versitygw',
      command: requireTool('versitygw'),
      args: [
        ...['--port', `127.0.0.1:${port}`, '--admin-port', `127.0.0.1:${adminPort}`],
        ...['--access', accessKeyId, '--secret', secretAccessKey, '--region', region],
        ...['--iam-dir', folder.join('iam'), '--health', '/health', '--quiet'],
        ...['posix', '--versioning-dir', folder.join('versions'), folder.join('data')],
      ],
      env: { PATH: process.env.PATH, HOME: folder.path },
      ready: (signal) => answers(`${endpoint}/health`, undefined, signal),
      folders: [folder.path],
    });
    const access = { endpoint, region, accessKeyId, secretAccessKey, certificates: undefined };
    return makeS3Server(server, access, () => folder.remove());
  } catch (error) {
    folder.remove();
    throw error;
  }
}
