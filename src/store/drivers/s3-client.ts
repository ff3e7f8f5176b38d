/** Makes the SDK's client as Granary needs it. */
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { GranaryError } from '../../model/errors.ts';
import { HttpTransport } from './http-transport.ts';
import { credentialsFor, type S3SignIn } from './s3-sign-in.ts';
import { checkedCa } from './shared.ts';
import { SourceRange } from './source-range.ts';

export interface S3Connection extends S3SignIn {
  readonly region: string;
  /** null: AWS itself. */
  readonly endpoint: string | null;
  readonly forcePathStyle: boolean;
  /** PEM; null: the authorities of the system. */
  readonly caCertificate: string | null;
  /** Called once for each HTTP request to the store; those that sign in elsewhere are left out. */
  readonly onRequest: () => void;
}

/** From this size on a server may refuse a body before it is sent. A round trip costs more than smaller bodies do. */
const expectContinueBytes = 2 ** 20;

/** Smaller bodies are manifests and the like. An upload's body is read only as it goes: it is never signed. */
const unsignedFromBytes = 2 ** 20;

/** `store-misconfigured` or `invalid-credentials` where the settings cannot work whatever the store says. */
export function makeS3Client(connection: S3Connection): S3Client {
  const { region, endpoint, caCertificate } = connection;
  const ca = checkedCa(caCertificate);
  const transport = new HttpTransport({ ca, onRequest: connection.onRequest });
  const config: S3ClientConfig = {
    region,
    forcePathStyle: connection.forcePathStyle,
    // The SDK's type asks for classes of its own; it uses only what the transport has.
    requestHandler: transport as unknown as NonNullable<S3ClientConfig['requestHandler']>,
    expectContinueHeader: expectContinueBytes,
    // One layer repeats requests, and it is `wrap/retry.ts`.
    maxAttempts: 1,
    // Checksums are sent and compared by this driver. The SDK's own broke many stores (aws-sdk-js-v3 #6810).
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  };
  if (endpoint !== null) config.endpoint = checkedEndpoint(endpoint);
  const credentials = credentialsFor(connection, { region, endpoint, ca });
  if (credentials !== undefined) config.credentials = credentials;
  const client = new S3Client(config);
  leaveLargeBodiesUnsigned(client);
  return client;
}

/**
 * The SHA-256 that a signature holds costs as much as all else of an upload, on both sides. A large body goes with a
 * signed CRC32C against accidents; against intent there is TLS, and the SHA-256 in the manifest, which is small and signed.
 */
function leaveLargeBodiesUnsigned(client: S3Client): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const request = args.request as { headers: Record<string, string>; body?: unknown };
      const { body } = request;
      if (body instanceof SourceRange || (body instanceof Uint8Array && body.length >= unsignedFromBytes)) {
        request.headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD';
      }
      return next(args);
    },
    { step: 'build', name: 'leaveLargeBodiesUnsigned' },
  );
}

function checkedEndpoint(endpoint: string): string {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
  if (url !== null && (url.protocol === 'https:' || url.protocol === 'http:')) return endpoint;
  throw new GranaryError(
    'store-misconfigured',
    `the endpoint ${endpoint} is not an http:// or https:// URL`,
    {
      hint: 'write it as https://s3.example.com or http://minio.local:9000',
    },
  );
}
