/** A Blob service as Azure's is, with one account, and a container for whoever asks. */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { BlobServiceClient, type ContainerClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import { makeCertificates } from './certificates.ts';
import { freePorts } from './ports.ts';
import { StartFailure, startProcess } from './process.ts';
import { tempFolder } from './temp.ts';
import { requireTool } from './tools.ts';

export interface AzuriteServer extends AsyncDisposable {
  /** Scheme, host and port; the account stands behind them in the path. */
  readonly endpoint: string;
  readonly account: string;
  readonly accountKey: string;
  /** PEM of the authority that signed the server's certificate; undefined without TLS. */
  readonly caCertificate: string | undefined;
  readonly pid: number;
  /** For a test's own requests beside the code under test. */
  container(name: string): ContainerClient;
  createContainer(name: string): Promise<void>;
  /** Removes a container with all it holds. */
  removeContainer(name: string): Promise<void>;
  log(): string;
  kill(signal: NodeJS.Signals): boolean;
  stop(): Promise<void>;
}

const account = 'granarytest';
const accountKey = Buffer.from('the key of an account that only tests have').toString('base64');
const portAttempts = 5;

/** Starts Azurite and returns when it answers. With TLS it takes tokens too, of whatever issuer (`--oauth basic`). */
export async function startAzurite(options: { readonly tls?: boolean } = {}): Promise<AzuriteServer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(options.tls ?? false);
    } catch (error) {
      if (!(error instanceof StartFailure && error.portTaken) || attempt === portAttempts) throw error;
    }
  }
}

async function startOnce(tls: boolean): Promise<AzuriteServer> {
  const folder = tempFolder('azurite');
  try {
    const [port] = await freePorts(1);
    const certificates = tls ? makeCertificates(folder.path) : undefined;
    const endpoint = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
    const secure =
      certificates === undefined
        ? []
        : ['--oauth', 'basic', '--cert', certificates.server.certFile, '--key', certificates.server.keyFile];
    const server = await startProcess({
      name: 'azurite',
      command: process.execPath,
      args: [
        ...[requireTool('azurite'), '--blobHost', '127.0.0.1', '--blobPort', String(port)],
        // The SDK is of a newer day than the server, which would refuse its version of the API.
        ...['-l', folder.join('data'), '--silent', '--disableTelemetry', '--skipApiVersionCheck', ...secure],
      ],
      env: { PATH: process.env.PATH, HOME: folder.path, AZURITE_ACCOUNTS: `${account}:${accountKey}` },
      ready: (signal) => answers(endpoint, certificates?.caCertificate, signal),
      folders: [folder.path],
    });
    const client = makeClient(endpoint, certificates?.caCertificate);
    const stop = async () => {
      await server.stop();
      folder.remove();
    };
    return {
      endpoint,
      account,
      accountKey,
      caCertificate: certificates?.caCertificate,
      pid: server.pid,
      container: (name) => client.getContainerClient(name),
      createContainer: async (name) => {
        await client.createContainer(name);
      },
      removeContainer: async (name) => {
        await client.deleteContainer(name);
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

function makeClient(endpoint: string, ca: string | undefined): BlobServiceClient {
  const credential = new StorageSharedKeyCredential(account, accountKey);
  // The SDK takes `tlsOptions`, although its type does not say so.
  // A connection that the server ends after five idle seconds may be in use again by then.
  const options = {
    retryOptions: { maxTries: 3, retryDelayInMs: 20 },
    ...(ca !== undefined && { tlsOptions: { ca } }),
  };
  return new BlobServiceClient(`${endpoint}/${account}`, credential, options);
}

/** Any answer will do: without a signature it is a refusal. */
function answers(url: string, ca: string | undefined, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const request =
      ca === undefined ? httpRequest(url, { signal }) : httpsRequest(url, { signal, ca, agent: false });
    request.once('error', reject);
    request.once('response', (response) => {
      response.resume();
      resolve(true);
    });
    request.end();
  });
}
