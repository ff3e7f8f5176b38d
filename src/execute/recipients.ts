/** Who can read which credential file, against the rules of `.sops.yaml`. No private key is needed. */
import { join } from 'node:path';
import { readConfigurationFiles, readNamedFile } from '../config/index.ts';
import { asGranaryError, GranaryError } from '../model/errors.ts';
import type { FileReaders, RecipientFiles } from '../model/secrets.ts';
import { describeCredentialFile } from '../secrets/credential-file.ts';
import { type Rules, rulesFor } from './sops-rules.ts';

export interface Readers {
  /** Who reads most first. */
  readonly items: readonly RecipientFiles[];
  /** In the order of the files. */
  readonly files: readonly FileReaders[];
}

/**
 * @param files as they were named; none: every `*.sops.yaml` below the folder
 * @param folder where `.sops.yaml` is searched, and above it
 * @throws GranaryError `config-not-found`, `file-unreadable`
 */
export async function readersOf(files: readonly string[], folder: string): Promise<Readers> {
  const named = files.length > 0 ? files : await credentialFilesIn(folder);
  const rules = await rulesFor(named, folder);
  const read = await Promise.all(named.map((file) => readersOfFile(file, rules)));
  return { items: byRecipient(read), files: read };
}

async function credentialFilesIn(folder: string): Promise<string[]> {
  const found = await readConfigurationFiles(folder);
  const files = [...found.files, ...found.diagnostics]
    .map(({ file }) => file)
    .filter((file) => /\.sops\.ya?ml$/.test(file));
  if (files.length > 0) {
    return [...new Set(files)].toSorted().map((file) => (folder === '.' ? file : join(folder, file)));
  }
  throw new GranaryError('config-not-found', `there is no credential file in ${folder}: no *.sops.yaml`, {
    hint: 'give the folder of the configuration with --path, or name the files',
    context: { path: folder },
  });
}

async function readersOfFile(file: string, rules: Rules): Promise<FileReaders> {
  const rule = rules.recipientsOf(file);
  const read = await readNamedFile(file);
  if (!('text' in read)) return unknownReaders(file, rule, read);
  try {
    const { recipients } = describeCredentialFile(file, read.text, 'any');
    const added = rule === null ? [] : recipients.filter((one) => !rule.includes(one));
    const missing = rule === null ? [] : rule.filter((one) => !recipients.includes(one));
    return { file, recipients, rule, added, missing, problem: null };
  } catch (error) {
    const { code, message, hint = null } = asGranaryError(error);
    return unknownReaders(file, rule, { code, message, hint });
  }
}

function unknownReaders(
  file: string,
  rule: readonly string[] | null,
  { code, message, hint }: { code: string; message: string; hint: string | null },
): FileReaders {
  return { file, recipients: null, rule, added: [], missing: [], problem: { code, message, hint } };
}

function byRecipient(files: readonly FileReaders[]): RecipientFiles[] {
  const known = files.flatMap(({ recipients, missing }) => [...(recipients ?? []), ...missing]);
  const namesWhere = (fits: (file: FileReaders) => boolean) => files.filter(fits).map(({ file }) => file);
  return [...new Set(known)]
    .map((recipient) => ({
      recipient,
      files: namesWhere(({ recipients }) => recipients?.includes(recipient) === true),
      unnamed: namesWhere(({ added }) => added.includes(recipient)),
      closed: namesWhere(({ missing }) => missing.includes(recipient)),
    }))
    .toSorted((a, b) => b.files.length - a.files.length || (a.recipient < b.recipient ? -1 : 1));
}
