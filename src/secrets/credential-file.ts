/** Credential files for the rest of Granary: open one with a private key, or check one without. */
import type { Diagnostic } from '../model/config.ts';
import { GranaryError } from '../model/errors.ts';
import { forOneTimeKey } from './age-list.ts';
import { noKeyFits, type OpenedKey, openDataKey, recipientsOf } from './data-key.ts';
import type { Identities } from './identities.ts';
import { rewriteCredentialFile } from './rewrite.ts';
import { openWithSopsAge } from './second-reader.ts';
import { Secret } from './secret.ts';
import { type CredentialFile, type PlainPart, readCredentialFile } from './sops-file.ts';
import { openVerified } from './sops-mac.ts';
import { needsProgram, openWithProgram } from './sops-program.ts';

export interface OpenOptions {
  /** Path for messages. */
  readonly file: string;
  /** Content of the file. */
  readonly text: string;
  readonly identities: Identities;
  /** Default `credential`. */
  readonly plainPart?: PlainPart | undefined;
  /**
   * Where the `sops` program is looked for, and what it gets to know: for files that no age or SSH key at hand opens, but
   * PGP, a key service or a plugin may. Default: the environment of this process.
   */
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** Ends that program. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Called with a note where the second reader (`sops-age`) does not give the same values. Without it, that is an
   * error; a restore passes it, for then a fault of the second reader must not stand in the way.
   */
  readonly onDisagreement?: ((note: string) => void) | undefined;
}

export interface OpenedFile {
  /** `metadata.name`, where it has one. */
  readonly name: string | null;
  /** The secrets by their name in `data`, in document order. */
  readonly values: ReadonlyMap<string, Secret>;
  /** RFC 3339: when sops last changed a value. Authentic. */
  readonly lastModified: string;
}

/**
 * Opens a credential file after everything about it was checked. What an age or SSH key at hand opens, Granary opens
 * itself; the `sops` program is asked only where none does and the file has a key of another kind.
 * @throws GranaryError `sops-invalid` (the structure, with line), `sops-tampered`, `age-key-missing`, `age-key-wrong`,
 *   `sops-program-missing`, `sops-program-failed`; the signal's reason
 */
export async function openCredentialFile(options: OpenOptions): Promise<OpenedFile> {
  const { file: path, text, identities, env = process.env, signal } = options;
  const file = requireSound(path, text, options.plainPart);
  const { lastModified } = file.metadata;
  const opened = await openDataKey(path, file, identities);
  if (opened === null) {
    if (!needsProgram(file, identities)) throw noKeyFits(path, file, identities);
    const values = await openWithProgram(path, text, file, identities, { env, signal });
    return { name: file.name, values: asSecrets(values), lastModified };
  }
  try {
    const values = openVerified(path, file, opened.dataKey);
    await compareWithSecondReader(options, file, opened, values);
    return { name: file.name, values: asSecrets(values), lastModified };
  } finally {
    opened.dataKey.fill(0);
  }
}

function asSecrets(values: ReadonlyMap<string, string>): Map<string, Secret> {
  return new Map([...values].map(([key, value]) => [key, new Secret(value)]));
}

async function compareWithSecondReader(
  { file: path, text, onDisagreement }: OpenOptions,
  file: CredentialFile,
  { dataKey, identity }: OpenedKey,
  values: ReadonlyMap<string, string>,
): Promise<void> {
  const readable =
    identity.kind === 'x25519'
      ? { text, identity: identity.secret }
      : await forOneTimeKey(text, file.metadata, dataKey);
  const second = await openWithSopsAge(readable.text, readable.identity);
  const differing = [...values]
    .filter(([key, value]) => second?.get(key) !== value)
    .map(([key]) => `data.${key}`);
  if (second !== null && second.size === values.size && differing.length === 0) return;
  const what =
    second === null ? 'cannot read it' : `gives another value for ${differing.join(', ') || '`data`'}`;
  const note = `${path}: the file is sound, but a second, independent reader (sops-age) ${what}`;
  if (onDisagreement === undefined) {
    throw new GranaryError('sops-invalid', note, {
      hint: 'set the value anew with `sops edit FILE`; if that does not help, please report it with a file that has no real secret',
      context: { file: path },
    });
  }
  onDisagreement(note);
}

export interface LintOptions {
  /** Path for messages, relative to the configuration's root. */
  readonly file: string;
  readonly text: string;
  /** Whom the rule of `.sops.yaml` for this file names, as `SopsRule` writes them; null where there is no rule to compare with. */
  readonly recipients: readonly string[] | null;
  /** Default `credential`. */
  readonly plainPart?: PlainPart | undefined;
}

/** All that can be said about a credential file without a private key. Empty: nothing is wrong. Never throws. */
export function lintCredentialFile(options: LintOptions): Diagnostic[] {
  const { file, faults } = readCredentialFile(options.file, options.text, options.plainPart);
  if (file === null || options.recipients === null) return [...faults];
  const actual = new Set(recipientsOf(file));
  const wanted = new Set(options.recipients);
  const added = [...actual].filter((recipient) => !wanted.has(recipient));
  const missing = [...wanted].filter((recipient) => !actual.has(recipient));
  const at = (recipient: string | undefined) => {
    const all = [...file.metadata.stanzas, ...file.metadata.foreign];
    return all.find((each) => each.recipient === recipient) ?? all[0];
  };
  const found: Diagnostic[] = [];
  const add = (message: string, recipient: string | undefined, hint: string) =>
    found.push({
      file: options.file,
      line: at(recipient)?.line ?? 1,
      column: at(recipient)?.column ?? 1,
      severity: 'error',
      code: 'sops-recipients-differ',
      pointer: '/sops/age',
      message,
      hint,
      subject: file.name === null ? null : { kind: 'Credential', name: file.name },
    });
  if (added.length > 0) {
    const who = added.join(', ');
    const hint =
      '`sops updatekeys FILE`, then `sops rotate -i FILE`, then change the secret itself; or add it to the rule if it belongs there';
    add(`the file can be read by ${who}, which the rule in .sops.yaml does not name`, added[0], hint);
  }
  if (missing.length > 0) {
    const who = missing.join(', ');
    add(
      `the rule in .sops.yaml names ${who}, which cannot read the file`,
      undefined,
      '`sops updatekeys FILE`',
    );
  }
  return found;
}

export interface ChangeOptions extends Omit<OpenOptions, 'onDisagreement' | 'plainPart'> {
  /** The new values by their name in `data`; those that are not named stay. */
  readonly values: ReadonlyMap<string, Secret>;
  readonly now: Date;
}

/**
 * The text of a credential file with other values, encrypted for the same recipients. Nothing is written.
 * @throws GranaryError as `openCredentialFile`
 */
export async function changeCredentialFile(options: ChangeOptions): Promise<string> {
  const { file: path, text, env = process.env } = options;
  return rewriteCredentialFile(path, text, requireSound(path, text), { ...options, env });
}

/** What is known about a credential file without a private key. */
export interface CredentialFileInfo {
  /** `age1…`, `ssh-ed25519 …`, `pgp …` and the like: age recipients in the file's order, then the others. */
  readonly recipients: readonly string[];
  /** RFC 3339: when sops last changed a value. `updatekeys` leaves it as it is. */
  readonly lastModified: string;
  /**
   * For each name in `data` a text that stays the same as long as the value does, also over `sops rotate`, and also
   * over `updatekeys`: its IV. A statement about honest writers, never a proof.
   */
  readonly fingerprints: ReadonlyMap<string, string>;
}

/** Recipients, age and fingerprints of a credential file; `sops-invalid` as `openCredentialFile`. */
export function describeCredentialFile(
  path: string,
  text: string,
  plainPart?: PlainPart,
): CredentialFileInfo {
  const file = requireSound(path, text, plainPart);
  return {
    recipients: recipientsOf(file),
    lastModified: file.metadata.lastModified,
    fingerprints: new Map([...file.data].map(([key, value]) => [key, value.iv.toString('base64')])),
  };
}

function requireSound(path: string, text: string, plainPart?: PlainPart): CredentialFile {
  const { file, faults } = readCredentialFile(path, text, plainPart);
  if (file !== null) return file;
  const [first] = faults;
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more: \`granary secrets lint ${path}\`)` : '';
  throw new GranaryError(
    'sops-invalid',
    `${path}:${first?.line ?? 1}: ${first?.message ?? 'unreadable'}${more}`,
    {
      hint: first?.hint ?? undefined,
      context: { file: path, line: first?.line ?? 1, column: first?.column ?? 1 },
    },
  );
}
