/** From the source to a workspace for each seed. A seed whose configuration is invalid fails alone. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ResultError, resultError } from '../backup/result.ts';
import { readConfigurationFiles } from '../config/files.ts';
import type { CredentialsOptions } from '../execute/credentials.ts';
import { loadChecked } from '../execute/lint.ts';
import { narrow } from '../execute/plan.ts';
import type { Readiness } from '../execute/readiness.ts';
import { InvalidConfiguration, makeWorkspace, type Workspace } from '../execute/workspace.ts';
import type { Source } from '../git/source.ts';
import type { Configuration, Credential, Desired, Diagnostic } from '../model/config.ts';
import { GranaryError } from '../model/errors.ts';
import { findSopsRules } from '../secrets/sops-rules.ts';

export interface LoadSeedsOptions extends Pick<CredentialsOptions, 'identities' | 'remembered' | 'signal'> {
  /** What outlives the process is kept here; null: nothing is. */
  readonly stateFolder: string | null;
  /** Only this seed; null: every seed of the configuration. */
  readonly only: string | null;
  /** Seeds that are served now. */
  readonly known: readonly string[];
  /** What is known of the destinations of a seed, whatever the configuration. */
  readonly readinessOf: (seed: string) => Readiness;
}

export interface LoadedSeeds {
  readonly valid: ReadonlyMap<string, Workspace>;
  /** Seeds for which this configuration cannot be used, with the reason. */
  readonly invalid: ReadonlyMap<string, ResultError>;
  /** Seeds that were served and that a sound configuration does not name any more. */
  readonly gone: readonly string[];
  /** Why it cannot be said which seeds there are; null where it can. */
  readonly problem: ResultError | null;
  /** Credentials that could not be opened, by name. */
  readonly unopened: ReadonlyMap<string, ResultError>;
}

/** Reads the configuration, and opens all that its seeds need, so that it stays usable when its files go. */
export async function loadSeeds(source: Source, options: LoadSeedsOptions): Promise<LoadedSeeds> {
  const { only, known, identities, remembered, stateFolder, signal, readinessOf } = options;
  const configuration = await loadChecked(source.root);
  const named = configuration.seeds.map(({ name }) => name);
  const valid = new Map<string, Workspace>();
  const invalid = new Map<string, ResultError>();
  const gone: string[] = [];
  for (const seed of only === null ? new Set([...named, ...known]) : [only]) {
    const missing = named.includes(seed) ? null : whyMissing(configuration, seed);
    if (missing !== null) {
      if (only === null && isRemoved(configuration, seed)) gone.push(seed);
      else invalid.set(seed, resultError(missing));
      continue;
    }
    try {
      const readiness = readinessOf(seed);
      const more = { identities, remembered, stateFolder, signal, seed, readiness };
      valid.set(seed, makeWorkspace(source, configuration, more));
    } catch (error) {
      invalid.set(seed, resultError(error));
    }
  }
  const problem = only === null && named.length === 0 ? resultError(whyMissing(configuration, null)) : null;
  return { valid, invalid, gone, problem, unopened: await openCredentials(valid) };
}

/**
 * Whether a seed that is not there was taken out on purpose. Where a faulty document may be the seed's, or nothing at
 * all is left, it was rather lost by mistake: a wrong path or branch, a file that does not parse.
 */
function isRemoved(configuration: Configuration, seed: string): boolean {
  return configuration.seeds.length > 0 && errorsAbout(configuration, seed).length === 0;
}

/** @param seed null: any seed at all */
function whyMissing(configuration: Configuration, seed: string | null): GranaryError {
  const errors = errorsAbout(configuration, seed);
  if (errors.length > 0) return new InvalidConfiguration(configuration, errors);
  const what = seed === null ? 'no seed' : `no seed ${seed}`;
  const names = configuration.seeds.map(({ name }) => name).join(', ');
  return new GranaryError('unknown-object', `there is ${what} in the configuration`, {
    hint: names === '' ? 'check --path, --repo and --ref' : `defined here are ${names}`,
  });
}

/** Errors of a seed's own document, and those of which nobody can say what they are about. */
function errorsAbout({ diagnostics }: Configuration, seed: string | null): Diagnostic[] {
  return diagnostics.filter(
    ({ severity, subject }) =>
      severity === 'error' &&
      (subject === null || (subject.kind === 'Seed' && (seed === null || subject.name === seed))),
  );
}

/**
 * Decrypts what the seeds reach now and not when it is first needed: by then the files of this commit may be gone, or
 * half edited. What fails here fails again, with its reason, in the run that needs it.
 */
async function openCredentials(
  workspaces: ReadonlyMap<string, Workspace>,
): Promise<Map<string, ResultError>> {
  const unopened = new Map<string, ResultError>();
  for (const [seed, { desired, credentials }] of workspaces) {
    const reached = narrow(desired, seed, null).configuration.credentials;
    for (const { name, locked } of new Set([...reached, ...credentialsOfReceivers(desired, seed)])) {
      if (locked) continue;
      await credentials.open(name).catch((error: unknown) => unopened.set(name, resultError(error)));
    }
  }
  return unopened;
}

/** Those of notifications that the seed may use. */
function credentialsOfReceivers({ configuration }: Desired, seed: string): Credential[] {
  const names = configuration.repository.notifications.map(({ credential }) => credential);
  return configuration.credentials.filter(
    ({ name, seeds }) => names.includes(name) && (seeds === null || seeds.includes(seed)),
  );
}

/** Changes whenever the configuration does: the commit of a repository; of a folder, the content of its files too. */
export async function fingerprint(source: Source): Promise<string> {
  const commit = source.commit?.id ?? '';
  if (source.kind === 'repository') return commit;
  const hash = createHash('sha256').update(`${commit}\n`);
  const { files, diagnostics } = await readConfigurationFiles(source.root);
  for (const { file, text } of files) hash.update(`${file}\0${text.length}\0${text}`);
  for (const { file, message } of diagnostics) hash.update(`${file}\0${message}\0`);
  const rules = await findSopsRules(source.root).catch(() => null);
  if (rules !== null) hash.update(await readFile(join(rules.folder, '.sops.yaml')).catch(() => ''));
  return hash.digest('hex');
}
