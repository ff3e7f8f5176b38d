/** From the options of a command to a workspace, with everything freed when the command ends. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  InvalidConfiguration,
  openWorkspace,
  type Workspace,
  type WorkspaceOptions,
} from '../execute/workspace.ts';
import type { Judge, Source } from '../git/source.ts';
import { type ErrorCode, isGranaryError, usage } from '../model/errors.ts';
import { type Identities, loadIdentities } from '../secrets/identities.ts';
import { RememberedCredentials } from '../secrets/remembered.ts';
import type { Io } from './io.ts';
import type { BucketOptions, KeyOptions, SourceOptions } from './options.ts';

/** What commands need that only read backups. */
export interface ReadingSession extends AsyncDisposable {
  readonly workspace: Workspace;
  readonly identities: Identities;
}

export interface Session extends ReadingSession {
  readonly source: Source;
}

/** The private keys that the command line or the environment names; says what is odd about them. */
export async function readIdentities(io: Io, options: KeyOptions): Promise<Identities> {
  const identities = await loadIdentities({ files: options.ageKeyFile, env: io.env });
  for (const note of identities.notes) io.warn(note);
  return identities;
}

/**
 * Opens the folder or repository that `--path` or `--repo` names. The folder of a clone goes with `dispose`.
 * @param judge asked about every commit of a repository
 */
export async function openSourceOf(
  io: Io,
  options: SourceOptions,
  judge?: Judge,
): Promise<Source & AsyncDisposable> {
  // Loaded here, as a bucket alone needs no Git.
  const { openSource } = await import('../git/source.ts');
  if (options.repo === undefined) {
    const source = await openSource({ path: options.path ?? '.' }, { signal: io.signal });
    return Object.assign(source, { [Symbol.asyncDispose]: async () => {} });
  }
  const kept = options.state === undefined ? undefined : join(options.state, 'git');
  const workDir = kept ?? (await mkdtemp(join(tmpdir(), 'granary-clone-')));
  const forget = async () => {
    if (kept === undefined) await rm(workDir, { recursive: true, force: true });
  };
  try {
    const wanted = { repo: options.repo, ref: options.ref ?? null, workDir, judge };
    return Object.assign(await openSource(wanted, { signal: io.signal }), { [Symbol.asyncDispose]: forget });
  } catch (error) {
    await forget();
    throw error;
  }
}

/** What is remembered of credentials in a state folder; undefined where there is none. */
export function rememberedIn(stateFolder: string | undefined): RememberedCredentials | undefined {
  return stateFolder === undefined ? undefined : new RememberedCredentials(stateFolder);
}

/** Opens source, keys and configuration. Warnings of the configuration are `validate`'s business and not repeated. */
export async function openSession(
  io: Io,
  options: SourceOptions & KeyOptions,
  seed = options.seed,
  { seedMayBeGone = false, onDisagreement }: Pick<WorkspaceOptions, 'seedMayBeGone' | 'onDisagreement'> = {},
): Promise<Session> {
  await using stack = new AsyncDisposableStack();
  const identities = await readIdentities(io, options);
  const source = stack.use(await openSourceOf(io, options));
  const workspace = stack.use(
    await openWorkspace(source, {
      identities,
      seed,
      seedMayBeGone,
      onDisagreement,
      remembered: rememberedIn(options.state),
      stateFolder: options.state,
      signal: io.signal,
    }),
  );
  const opened = stack.move();
  return { source, workspace, identities, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/**
 * A session for one backup by its name. The name says the seed, which Git may no longer know. Where only the second
 * reader of a credential fails, it goes on with a warning: a backup must not be out of reach for that.
 */
export async function openSessionFor(
  io: Io,
  options: SourceOptions & KeyOptions,
  name: string,
): Promise<Session> {
  const seed = options.seed ?? name.split('/')[0] ?? '';
  const session = await openSession(io, options, seed, { seedMayBeGone: true, onDisagreement: io.warn });
  const { seeds, diagnostics } = session.workspace.desired.configuration;
  const errors = diagnostics.filter(({ severity }) => severity === 'error');
  // It may be one of them that keeps the seed, or where its backups are, from being seen.
  if (errors.length > 0 && !seeds.some((one) => one.name === seed)) {
    const { message } = new InvalidConfiguration(session.workspace.desired.configuration, errors);
    io.warn(`there is no seed ${seed} in what could be read: ${message}`);
  }
  return session;
}

/** As `openSession`, for commands that only read backups: with `--from` of a bucket alone. */
export async function openReading(
  io: Io,
  options: SourceOptions & BucketOptions & KeyOptions,
): Promise<ReadingSession> {
  return (await openFrom(io, options)) ?? openSession(io, options).catch(orBucket);
}

/** As `openSessionFor`, with `--from` of a bucket alone. */
export async function openReadingFor(
  io: Io,
  options: SourceOptions & BucketOptions & KeyOptions,
  name: string,
): Promise<ReadingSession> {
  return (await openFrom(io, options)) ?? openSessionFor(io, options, name).catch(orBucket);
}

/** Whoever needs a backup now must not have to mend its configuration first, or wait for a Git server. */
function orBucket(thrown: unknown): never {
  if (!isGranaryError(thrown, ...withoutConfiguration)) throw thrown;
  const { hint } = thrown;
  const way = 'backups can be read without any configuration: `--from` names their bucket';
  throw thrown.withHint(hint === undefined ? way : `${hint}; ${way}`);
}

const withoutConfiguration: ErrorCode[] = [
  ...(['config-invalid', 'config-not-found'] as const),
  ...(['git-failed', 'git-ref-not-found', 'git-auth', 'commit-untrusted'] as const),
];

async function openFrom(io: Io, options: BucketOptions & KeyOptions): Promise<ReadingSession | null> {
  const { from: url, endpoint, region, caFile, pathStyle } = options;
  if (url === undefined) {
    if ((endpoint ?? region ?? caFile ?? pathStyle) === undefined) return null;
    throw usage(
      '--endpoint, --region, --ca-file and --path-style belong to --from',
      'a Destination of the configuration says these itself',
    );
  }
  const { openBucket } = await import('../execute/bucket.ts');
  const identities = await readIdentities(io, options);
  const workspace = await openBucket({
    ...{ url, endpoint, region, caFile, pathStyle, identities },
    ...{ env: io.env, signal: io.signal, onWarning: io.warn },
  });
  return { workspace, identities, [Symbol.asyncDispose]: () => workspace[Symbol.asyncDispose]() };
}
