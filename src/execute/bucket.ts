/**
 * Nothing but a bucket (`--from`): no Git, no agent. What is missing is a configuration, so one is made that names this
 * place alone, and all that reads backups works on it as on any other.
 */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { readDestination } from '../catalog/inventory.ts';
import { readMarker } from '../catalog/marker.ts';
import { defaultRepository } from '../config/complete.ts';
import type { Configuration, Destination } from '../model/config.ts';
import { GranaryError, inDestination, isGranaryError } from '../model/errors.ts';
import type { Identities } from '../secrets/identities.ts';
import { Secret } from '../secrets/secret.ts';
import type { CallOptions, Store } from '../store/store.ts';
import { type BucketSettings, destinationOfUrl } from './bucket-url.ts';
import { Credentials, type OpenCredential } from './credentials.ts';
import { Destinations } from './destinations.ts';
import { openSources } from './find.ts';
import type { Workspace } from './workspace.ts';

export interface BucketOptions extends Omit<BucketSettings, 'caCertificate'>, CallOptions {
  /** `s3://bucket/prefix`, `gs://…`, `azblob://account/container/prefix`, `file:///folder`. */
  readonly url: string;
  /** Path of a PEM file; without it AWS_CA_BUNDLE counts for S3, as it does for other programs. */
  readonly caFile?: string | undefined;
  /** Where credentials are looked for, beside what the provider's own library knows. */
  readonly env: NodeJS.ProcessEnv;
  readonly identities: Identities;
  readonly onWarning: (message: string) => void;
}

/** The name of the one credential: it is in no file. */
const fromEnvironment = 'environment';

/**
 * Opens a bucket and looks whether Granary has ever been there.
 * @throws GranaryError `usage`, `file-unreadable`, and what the store says of its credentials and itself
 */
export async function openBucket(options: BucketOptions): Promise<Workspace> {
  const { url, env, identities, signal, caFile, ...settings } = options;
  const ca = caFile ?? (url.startsWith('s3:') ? env.AWS_CA_BUNDLE || undefined : undefined);
  const caCertificate = ca === undefined ? undefined : await readCertificate(ca);
  const place = destinationOfUrl(url, { ...settings, caCertificate }, env);
  const credential = credentialFrom(env, place);
  const destination = credential === null ? place : { ...place, credential: fromEnvironment };
  const configuration: Configuration = {
    seeds: [],
    destinations: [destination as Destination],
    credentials: [],
    policies: [],
    repository: defaultRepository(),
    diagnostics: [],
    files: 0,
  };
  const instead = new Map(credential === null ? [] : [[fromEnvironment, credential]]);
  const credentials = new Credentials('.', configuration, { identities, instead, signal });
  const destinations = new Destinations(credentials);
  try {
    const { store } = await destinations.open(destination as Destination);
    const fault = await markerFault(store, url, { signal });
    if (fault !== null) options.onWarning(fault);
  } catch (error) {
    await destinations[Symbol.asyncDispose]();
    signal.throwIfAborted();
    throw asOptionsSay(inDestination(url, error));
  }
  return {
    desired: { commit: null, configuration, assignments: [] },
    source: { relation: async () => 'unknown' },
    credentials,
    destinations,
    stateFolder: null,
    warnings: [],
    [Symbol.asyncDispose]: () => destinations[Symbol.asyncDispose](),
  };
}

/** What to know of a bucket that is only to be read; null: its marker is as it should be. */
async function markerFault(store: Store, url: string, options: CallOptions): Promise<string | null> {
  try {
    if ((await readMarker(store, options)) !== null) return null;
    return `there is no granary.json at ${url}: the prefix is another one, or somebody removed the marker`;
  } catch (error) {
    if (!isGranaryError(error, 'marker-mismatch')) throw error;
    return `${error.message}; backups are read all the same`;
  }
}

/** Hints of stores speak of a Destination's fields; here the same things are options. */
function asOptionsSay(error: GranaryError): GranaryError {
  const said = error.hint
    ?.replace('name a credential in the destination, or ', '')
    .replace(
      'put the PEM of that authority into `caCertificate` of the destination',
      'name the PEM file of that authority with --ca-file',
    )
    .replace('`forcePathStyle`', '`--path-style`');
  return error.withHint(said);
}

/** Every `seed/cluster` that has backups in a bucket, in alphabetical order. @throws GranaryError `backup-not-found` for none */
export async function clustersIn(workspace: Workspace, { signal }: CallOptions): Promise<string[]> {
  const { sources, unopened } = await openSources(workspace, undefined);
  const [failed] = unopened;
  if (failed !== undefined) throw failed.error;
  const read = await Promise.all(sources.map((source) => readDestination(source, 'all', { signal })));
  const names = read.flatMap(({ copies }) => copies.map(({ seed, cluster }) => `${seed}/${cluster}`));
  if (names.length === 0) {
    const [place] = workspace.desired.configuration.destinations;
    throw new GranaryError('backup-not-found', `there are no backups at ${place?.name}`, {
      hint: 'is the prefix right? It is the folder that holds granary.json and clusters/',
    });
  }
  return [...new Set(names)].sort();
}

/**
 * Azure's libraries sign in as somebody; the key of an account and a shared access signature are its command line's:
 * https://learn.microsoft.com/cli/azure/storage#environment-variables
 */
function credentialFrom(env: NodeJS.ProcessEnv, { provider }: Destination): OpenCredential | null {
  if (provider !== 'azure') return null;
  const parts = connectionString(env.AZURE_STORAGE_CONNECTION_STRING ?? '');
  const accountKey = env.AZURE_STORAGE_KEY || parts.get('AccountKey');
  const sasToken = env.AZURE_STORAGE_SAS_TOKEN || parts.get('SharedAccessSignature');
  if (accountKey) return new Map([['accountKey', new Secret(accountKey)]]);
  if (sasToken) return new Map([['sasToken', new Secret(sasToken)]]);
  return null;
}

/** `AccountName=…;AccountKey=…`: a value may hold the sign itself, for base64 ends with it. */
function connectionString(text: string): ReadonlyMap<string, string> {
  const pairs = text.split(';').map((part) => {
    const at = part.indexOf('=');
    return [part.slice(0, at), part.slice(at + 1)] as const;
  });
  return new Map(pairs);
}

async function readCertificate(file: string): Promise<string> {
  try {
    const pem = await readFile(file, 'utf8');
    new X509Certificate(pem);
    return pem;
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const why = isMissing ? 'does not exist' : 'is no certificate in PEM, or cannot be read';
    throw new GranaryError('file-unreadable', `the certificate file ${file} ${why}`, {
      hint: 'it starts with -----BEGIN CERTIFICATE-----; several may follow each other',
      cause,
    });
  }
}
