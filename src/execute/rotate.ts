/**
 * New values for a credential: made in memory, tried wherever the credential is used, and only then written. Nothing on
 * the disk changes before `write`, and that is one step.
 */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { configurationOf, overlaid, readConfigurationFiles } from '../config/index.ts';
import type { Source } from '../git/source.ts';
import type { CheckResult } from '../model/check.ts';
import type { Configuration, Credential, Diagnostic } from '../model/config.ts';
import { GranaryError } from '../model/errors.ts';
import type { CredentialUses } from '../model/secrets.ts';
import { changeCredentialFile, lintCredentialFile, openCredentialFile } from '../secrets/credential-file.ts';
import type { Secret } from '../secrets/secret.ts';
import { checkPlaces } from './check.ts';
import { usesOf } from './credential-uses.ts';
import type { CredentialsOptions, OpenCredential } from './credentials.ts';
import { loadChecked } from './lint.ts';
import { rulesFor } from './sops-rules.ts';
import { makeWorkspace } from './workspace.ts';
import { writeAll } from './write-all.ts';

export interface RotateOptions extends Omit<CredentialsOptions, 'instead' | 'signal'> {
  /** A Credential's name, or the path of its file. */
  readonly target: string;
  /** The new values by their name in `data`. */
  readonly values: ReadonlyMap<string, Secret>;
  readonly now: Date;
  readonly signal: AbortSignal;
}

export interface Rotation {
  readonly credential: Credential;
  /** Relative to the folder of the configuration. */
  readonly file: string;
  /** Names in `data` whose value is another one, in the order given. */
  readonly changed: readonly string[];
  readonly usedBy: CredentialUses;
  /** Tries the new values at everything that can be tried. Small objects are written to destinations, and removed again. */
  check(): AsyncGenerator<CheckResult, void, undefined>;
  /**
   * Replaces the file in one step.
   * @throws GranaryError `target-exists` where the file is not what was read any more; `target-unwritable`, `disk-full`
   */
  write(): Promise<void>;
}

/**
 * Makes the new file in memory and makes sure of it: both readers open it, and it has no fault.
 * @throws InvalidConfiguration; GranaryError `unknown-object`, `usage`, `sops-invalid`, and what opening a credential throws
 */
export async function prepareRotation(source: Source, options: RotateOptions): Promise<Rotation> {
  const { identities, remembered, signal, now } = options;
  const current = await loadChecked(source.root);
  const credential = findCredential(current, source.root, options.target);
  const { file } = credential.position;
  const before = await readFile(join(source.root, file), 'utf8');
  const old = await openCredentialFile({ file, text: before, identities, signal });
  await remembered?.check(credential.name, file, old.lastModified);
  const values = changedValues(credential.name, old.values, options.values);
  const after = await changeCredentialFile({ file, text: before, identities, signal, values, now });
  const opened = await openCredentialFile({ file, text: after, identities, signal });
  requireSame(file, opened.values, new Map([...old.values, ...values]));
  const configuration = await configurationAfter(source.root, current, file, after);
  // Faults anywhere would make it unclear who uses the credential.
  makeWorkspace(source, configuration, { identities });

  const usedBy = usesOf(configuration, credential.name);
  const instead = new Map([[credential.name, opened.values]]);
  return {
    credential,
    file,
    changed: [...values.keys()],
    usedBy,
    check: async function* () {
      await using workspace = makeWorkspace(source, configuration, {
        identities,
        remembered,
        signal,
        instead,
      });
      for (const name of [...usedBy.destinations, ...usedBy.clusters]) {
        yield* checkPlaces(workspace, { name, signal });
      }
    },
    write: async () => {
      signal.throwIfAborted();
      await writeAll(source.root, [{ path: file, before, after }]);
      await remembered?.accept(credential.name, file, opened.lastModified);
    },
  };
}

function findCredential({ credentials }: Configuration, root: string, target: string): Credential {
  const found =
    credentials.find(({ name }) => name === target) ??
    credentials.find(({ position }) =>
      [resolve(target), resolve(root, target)].includes(resolve(root, position.file)),
    );
  if (found !== undefined) return found;
  const names = credentials.map(({ name }) => name).join(', ');
  throw new GranaryError('unknown-object', `there is no credential ${target} in the configuration`, {
    hint: names === '' ? 'it has none at all; the folder is named with --path' : `defined here are ${names}`,
  });
}

function changedValues(
  name: string,
  old: OpenCredential,
  given: ReadonlyMap<string, Secret>,
): Map<string, Secret> {
  const changed = [...given].filter(([key, secret]) => old.get(key)?.reveal() !== secret.reveal());
  if (changed.length > 0) return new Map(changed);
  throw new GranaryError('usage', `the new values are those that credential ${name} has already`, {
    hint: 'make a new key at the provider first, and give that',
  });
}

/** What was written is what was meant; a fault here is ours or that of the `sops` program. */
function requireSame(file: string, found: OpenCredential, wanted: OpenCredential): void {
  const isSame =
    found.size === wanted.size &&
    [...wanted].every(([key, secret]) => found.get(key)?.reveal() === secret.reveal());
  if (isSame) return;
  throw new GranaryError('sops-invalid', `${file} with the new values does not hold what was given`, {
    hint: 'nothing was written; set the values with `sops edit FILE`',
  });
}

/**
 * The configuration as it will be. What is wrong with it then is in its diagnostics: a name that its type does not know,
 * half a pair, a reader whom `.sops.yaml` does not name.
 */
async function configurationAfter(
  root: string,
  before: Configuration,
  file: string,
  text: string,
): Promise<Configuration> {
  const found = await readConfigurationFiles(root);
  const after = configurationOf(overlaid(found, [{ path: file, before: null, after: text }]));
  const path = join(root, file);
  const rules = await rulesFor([path], root);
  const known = new Set(after.diagnostics.map(placeOf));
  // How the other files are encrypted has been looked at, and is as it was.
  const lint = [
    ...before.diagnostics.filter((one) => one.file !== file && one.code.startsWith('sops-')),
    ...lintCredentialFile({ file, text, recipients: rules.recipientsOf(path) }),
  ].filter((one) => !known.has(placeOf(one)));
  return { ...after, diagnostics: [...after.diagnostics, ...lint] };
}

function placeOf({ file, line, column }: Diagnostic): string {
  return `${file}:${line}:${column}`;
}
