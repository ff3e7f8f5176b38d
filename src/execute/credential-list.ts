/** The credentials of a configuration as people look for them: who uses each, who made it, and never a value. */
import type { FileHistory, History } from '../git/history.ts';
import type { Credential } from '../model/config.ts';
import { isGranaryError } from '../model/errors.ts';
import { maskAccessKey } from '../model/mask.ts';
import { namersOf } from './credential-uses.ts';
import type { Workspace } from './workspace.ts';

export interface ListedCredential {
  readonly name: string;
  readonly type: string;
  readonly organization: string | null;
  /** The first and last letters; `encrypted` where no private key opens the file; null where the type has none. */
  readonly accessKeyId: string | null;
  /** Of the destinations that use it; a provider's own ones are left out. */
  readonly endpoints: readonly string[];
  readonly displayName: string | null;
  /** Destinations, `seed/cluster` of etcd clusters, seeds whose coordination it opens, and `Repository`: notifications. */
  readonly usedBy: readonly string[];
  readonly createdBy: string;
  /** RFC 3339; null where it is not known. */
  readonly createdAt: string | null;
  readonly lastModifiedBy: string;
  readonly lastModifiedAt: string | null;
  readonly locked: boolean;
  readonly default: boolean;
}

export interface CredentialListOptions {
  readonly history: History;
  readonly seed?: string | undefined;
}

/** In the order of the configuration. With `seed`, those that it may use. */
export async function listCredentials(
  workspace: Workspace,
  { history, seed }: CredentialListOptions,
): Promise<ListedCredential[]> {
  const { credentials } = workspace.desired.configuration;
  const wanted = credentials.filter((one) => seed === undefined || (one.seeds?.includes(seed) ?? true));
  return Promise.all(wanted.map((credential) => listed(workspace, credential, history)));
}

async function listed(
  workspace: Workspace,
  credential: Credential,
  history: History,
): Promise<ListedCredential> {
  const { configuration } = workspace.desired;
  const { name } = credential;
  const namers = namersOf(configuration, name);
  const users = configuration.destinations.filter((one) => namers.destinations.includes(one.name));
  const known = history.files.get(credential.position.file);
  return {
    name,
    type: credential.type,
    organization: credential.organization,
    accessKeyId: await maskedKeyOf(workspace, credential),
    endpoints: [...new Set(users.flatMap((one) => ('endpoint' in one ? (one.endpoint ?? []) : [])))],
    displayName: credential.displayName,
    usedBy: [
      ...namers.destinations,
      ...namers.clusters,
      ...namers.coordination,
      ...(namers.notifications > 0 ? ['Repository'] : []),
    ],
    createdBy: authorOf(known, 'created', history),
    createdAt: known?.created.date ?? null,
    lastModifiedBy: authorOf(known, 'modified', history),
    lastModifiedAt: known?.modified.date ?? null,
    locked: credential.locked,
    default: credential.default,
  };
}

function authorOf(known: FileHistory | undefined, which: keyof FileHistory, history: History): string {
  return known?.[which].author ?? history.unknown ?? 'not committed';
}

async function maskedKeyOf({ credentials }: Workspace, { name, type }: Credential): Promise<string | null> {
  if (type !== 's3') return null;
  try {
    const id = (await credentials.open(name)).get('accessKeyId');
    return id === undefined ? null : maskAccessKey(id.reveal());
  } catch (error) {
    // Without the key, or with a file that cannot be trusted: both are the business of `secrets verify`.
    if (isGranaryError(error)) return 'encrypted';
    throw error;
  }
}
