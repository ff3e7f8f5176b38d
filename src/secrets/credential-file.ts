/** Credential files for the rest of Granary: open one with a private key, or check one without. */
import type { Diagnostic } from '../model/config.ts';
import { GranaryError } from '../model/errors.ts';
import { openDataKey } from './data-key.ts';
import type { Identities } from './identities.ts';
import { openWithSopsAge } from './second-reader.ts';
import { Secret } from './secret.ts';
import { type CredentialFile, readCredentialFile } from './sops-file.ts';
import { openVerified } from './sops-mac.ts';

export interface OpenOptions {
  /** Path for messages. */
  readonly file: string;
  /** Content of the file. */
  readonly text: string;
  readonly identities: Identities;
  /**
   * Called with a note where the second reader (`sops-age`) does not give the same values. Without it, that is an
   * error; a restore passes it, for then a fault of the second reader must not stand in the way.
   */
  readonly onDisagreement?: ((note: string) => void) | undefined;
}

/**
 * The secrets of a credential file by their name in `data`, in document order, after everything about it was checked.
 * Errors: `sops-invalid` (the structure, with line), `sops-tampered`, `age-key-missing`, `age-key-wrong`.
 */
export async function openCredentialFile(options: OpenOptions): Promise<ReadonlyMap<string, Secret>> {
  const { file: path, text, identities } = options;
  const file = requireSound(path, text);
  const { dataKey, identity } = await openDataKey(path, file, identities);
  const values = openVerified(path, file, dataKey);
  dataKey.fill(0);

  const second = await openWithSopsAge(text, identity.secret);
  const differing = [...values]
    .filter(([key, value]) => second?.get(key) !== value)
    .map(([key]) => `data.${key}`);
  if (second === null || second.size !== values.size || differing.length > 0) {
    const what =
      second === null ? 'cannot read it' : `gives another value for ${differing.join(', ') || '`data`'}`;
    const note = `${path}: the file is sound, but a second, independent reader (sops-age) ${what}`;
    if (options.onDisagreement === undefined) {
      throw new GranaryError('sops-invalid', note, {
        hint: 'set the value anew with `sops edit FILE`; if that does not help, please report it with a file that has no real secret',
        context: { file: path },
      });
    }
    options.onDisagreement(note);
  }
  return new Map([...values].map(([key, value]) => [key, new Secret(value)]));
}

export interface LintOptions {
  /** Path for messages, relative to the configuration's root. */
  readonly file: string;
  readonly text: string;
  /** What the rule of `.sops.yaml` for this file says; null where there is no rule to compare with. */
  readonly recipients: readonly string[] | null;
}

/** All that can be said about a credential file without a private key. Empty: nothing is wrong. Never throws. */
export function lintCredentialFile(options: LintOptions): Diagnostic[] {
  const { file, faults } = readCredentialFile(options.file, options.text);
  if (file === null || options.recipients === null) return [...faults];
  const actual = new Set(file.metadata.stanzas.map((stanza) => stanza.recipient));
  const wanted = new Set(options.recipients);
  const added = [...actual].filter((recipient) => !wanted.has(recipient));
  const missing = [...wanted].filter((recipient) => !actual.has(recipient));
  const at = (recipient: string | undefined) => {
    const stanza = file.metadata.stanzas.find((each) => each.recipient === recipient);
    return stanza === undefined ? file.metadata.stanzas[0] : stanza;
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

/** What is known about a credential file without a private key. */
export interface CredentialFileInfo {
  /** `age1…`, in the file's order. */
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
export function describeCredentialFile(path: string, text: string): CredentialFileInfo {
  const file = requireSound(path, text);
  return {
    recipients: file.metadata.stanzas.map((stanza) => stanza.recipient),
    lastModified: file.metadata.lastModified,
    fingerprints: new Map([...file.data].map(([key, value]) => [key, value.iv.toString('base64')])),
  };
}

function requireSound(path: string, text: string): CredentialFile {
  const { file, faults } = readCredentialFile(path, text);
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
