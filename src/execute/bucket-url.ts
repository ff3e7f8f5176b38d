/** `--from`: the address of a bucket, container or folder as people write it, to a Destination as stores know it. */
import { fileURLToPath } from 'node:url';
import { completeDestination } from '../config/complete.ts';
import type { Destination } from '../model/config.ts';
import { type GranaryError, usage } from '../model/errors.ts';
import type { DestinationDocument } from '../model/generated/destination.ts';

/** What stands beside the address. */
export interface BucketSettings {
  readonly endpoint?: string | undefined;
  readonly region?: string | undefined;
  /** PEM of the only authority to trust. */
  readonly caCertificate?: string | undefined;
  readonly pathStyle?: boolean | undefined;
}

type Spec = DestinationDocument['spec'];
type Provider = Spec['provider'];

const forms = 's3://BUCKET/PREFIX, gs://BUCKET/PREFIX, azblob://ACCOUNT/CONTAINER/PREFIX or file:///FOLDER';

/** Settings that mean something for a provider. Google's authorities are the system's: NODE_EXTRA_CA_CERTS adds one. */
const fitting: Readonly<Record<Provider, readonly (keyof BucketSettings)[]>> = {
  s3: ['endpoint', 'region', 'caCertificate', 'pathStyle'],
  gcs: ['endpoint'],
  azure: ['endpoint', 'caCertificate'],
  filesystem: [],
};

const optionOf: Readonly<Record<keyof BucketSettings, string>> = {
  endpoint: '--endpoint',
  region: '--region',
  caCertificate: '--ca-file',
  pathStyle: '--path-style',
};

/**
 * The destination that an address means. It is called by its address, which is what messages name it by.
 * @param env AWS_REGION, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL count where no option says it, as
 *   they do for other programs
 * @throws GranaryError `usage` for what is no such address, and for settings that have no meaning there
 */
export function destinationOfUrl(url: string, settings: BucketSettings, env: NodeJS.ProcessEnv): Destination {
  const spec = specOf(url, settings, env);
  for (const name of Object.keys(optionOf) as (keyof BucketSettings)[]) {
    if (settings[name] === undefined || fitting[spec.provider].includes(name)) continue;
    throw usage(`${optionOf[name]} has no meaning for ${url}`, 'leave it out');
  }
  const document: DestinationDocument = {
    apiVersion: 'granary.dev/v1',
    kind: 'Destination',
    metadata: { name: url },
    spec,
  };
  return completeDestination(document, () => ({ file: '--from', line: 1, column: 1 }));
}

function specOf(url: string, settings: BucketSettings, env: NodeJS.ProcessEnv): Spec {
  const [, scheme, rest = ''] = /^([a-z0-9]+):\/\/(.+)$/.exec(url) ?? [];
  const { caCertificate } = settings;
  switch (scheme) {
    case 's3': {
      const [bucket, prefix] = split(url, rest, 1);
      const endpoint = settings.endpoint ?? named(env.AWS_ENDPOINT_URL_S3) ?? named(env.AWS_ENDPOINT_URL);
      const region = settings.region ?? named(env.AWS_REGION) ?? named(env.AWS_DEFAULT_REGION);
      return {
        provider: 's3',
        bucket,
        prefix,
        forcePathStyle: settings.pathStyle ?? (endpoint !== undefined && hasNoSubdomains(endpoint)),
        ...(endpoint !== undefined && { endpoint }),
        ...(region !== undefined && { region }),
        ...(caCertificate !== undefined && { caCertificate }),
      };
    }
    case 'gs': {
      const [bucket, prefix] = split(url, rest, 1);
      return { provider: 'gcs', bucket, prefix, ...endpointOf(settings) };
    }
    case 'azblob': {
      const [where, prefix] = split(url, rest, 2);
      const [storageAccount = '', container = ''] = where.split('/');
      const ca = caCertificate === undefined ? {} : { caCertificate };
      return { provider: 'azure', storageAccount, container, prefix, ...endpointOf(settings), ...ca };
    }
    case 'file':
      return { provider: 'filesystem', path: folderOf(url) };
    default:
      throw notAnAddress(url);
  }
}

function endpointOf({ endpoint }: BucketSettings): { endpoint?: string } {
  return endpoint === undefined ? {} : { endpoint };
}

/** The first `names` segments, which name the bucket, and all that follow. A slash at the end means nothing. */
function split(url: string, rest: string, names: number): [bucket: string, prefix: string] {
  const parts = rest.replace(/\/+$/, '').split('/');
  const isPlain = parts.every((part) => part !== '' && part !== '.' && part !== '..');
  if (parts.length < names || !isPlain || /[?#\\\s]/.test(rest)) throw notAnAddress(url);
  return [parts.slice(0, names).join('/'), parts.slice(names).join('/')];
}

function folderOf(url: string): string {
  try {
    return fileURLToPath(url);
  } catch {
    throw usage(`\`${url}\` names no folder of this machine`, 'write file:// and the path from the root');
  }
}

/** An address or a bare name has no names below it, so a bucket cannot be one. */
function hasNoSubdomains(endpoint: string): boolean {
  const host = URL.parse(endpoint)?.hostname ?? '';
  return /^[\d.]+$|^\[/.test(host) || !host.includes('.');
}

function named(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

function notAnAddress(url: string): GranaryError {
  return usage(`\`${url}\` is no address of a bucket`, `write it as ${forms}`);
}
