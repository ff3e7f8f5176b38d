/** A real server of the JSON API of Google Cloud Storage, with a bucket for whoever asks. */
import { Storage } from '@google-cloud/storage';
import { freePort } from './ports.ts';
import { StartFailure, startProcess } from './process.ts';
import { tempFolder } from './temp.ts';
import { requireTool } from './tools.ts';

export interface FakeGcsServer extends AsyncDisposable {
  readonly endpoint: string;
  readonly pid: number;
  /** Google's own library, for a test's requests beside the code under test. */
  readonly client: Storage;
  createBucket(name: string): Promise<void>;
  /** Removes a bucket with all it holds. */
  removeBucket(name: string): Promise<void>;
  log(): string;
  kill(signal: NodeJS.Signals): boolean;
  stop(): Promise<void>;
}

const portAttempts = 5;

/**
 * Starts fake-gcs-server and returns when it answers. It asks for no credentials, and knows no session of an upload by
 * its state: what it gets wrong is in `test/store/strict-gcs.ts`.
 */
export async function startFakeGcs(): Promise<FakeGcsServer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce();
    } catch (error) {
      if (!(error instanceof StartFailure && error.portTaken) || attempt === portAttempts) throw error;
    }
  }
}

async function startOnce(): Promise<FakeGcsServer> {
  const folder = tempFolder('fake-gcs');
  try {
    const port = await freePort();
    const endpoint = `http://127.0.0.1:${port}`;
    const server = await startProcess({
      name: 'fake-gcs-server',
      command: requireTool('fake-gcs-server'),
      args: [
        ...['-scheme', 'http', '-host', '127.0.0.1', '-port', `${port}`, '-public-host', `127.0.0.1:${port}`],
        // In its folders an object would hide all those below its name.
        ...['-backend', 'memory', '-external-url', endpoint, '-log-level', 'warn'],
      ],
      env: { PATH: process.env.PATH, HOME: folder.path },
      cwd: folder.path,
      ready: async (signal) => (await fetch(`${endpoint}/_internal/healthcheck`, { signal })).ok,
      folders: [folder.path],
    });
    const client = new Storage({ apiEndpoint: endpoint, projectId: 'test' });
    const stop = async () => {
      await server.stop();
      folder.remove();
    };
    return {
      endpoint,
      pid: server.pid,
      client,
      createBucket: async (name) => {
        await client.createBucket(name);
      },
      removeBucket: async (name) => {
        await client.bucket(name).deleteFiles({ force: true });
        await client.bucket(name).delete();
      },
      log: () => server.log(),
      kill: (signal) => server.kill(signal),
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    folder.remove();
    throw error;
  }
}
