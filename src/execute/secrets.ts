/** Credential files by themselves: what can be said of them without a private key, and with one. */
import { relative, resolve, sep } from 'node:path';
import { diagnoseFile, readNamedFile } from '../config/index.ts';
import type { Diagnostic } from '../model/config.ts';
import { asGranaryError } from '../model/errors.ts';
import { lintCredentialFile, openCredentialFile } from '../secrets/credential-file.ts';
import type { Identities } from '../secrets/identities.ts';
import { findSopsRules, lintSopsRules } from '../secrets/sops-rules.ts';

/** One file of `secrets verify`. */
export interface SecretVerdict {
  readonly file: string;
  readonly verdict: 'accept' | 'reject';
  /** Of an error or a diagnostic; null where the file is accepted. */
  readonly code: string | null;
  /** What is wrong, or what was found. Never a value. */
  readonly message: string;
  readonly hint: string | null;
}

/**
 * Everything about credential files that needs no private key: their YAML and closed schema, how they are encrypted,
 * and whether for those whom the rule in `.sops.yaml` names. Errors first, then in the order of the files. What is
 * wrong with a file is in the diagnostics, also that it cannot be read.
 * @param folder where `.sops.yaml` is searched, and above it
 * @throws GranaryError `file-unreadable` for a `.sops.yaml` that cannot be read
 */
export async function lintSecrets(files: readonly string[], folder: string): Promise<Diagnostic[]> {
  const rules = await rulesFor(files, folder);
  const found = [...rules.diagnostics];
  for (const file of files) {
    const read = await readNamedFile(file);
    found.push(...('text' in read ? lintOne(read.file, read.text, rules) : [read]));
  }
  const rank = ({ severity }: Diagnostic) => (severity === 'error' ? 0 : 1);
  return found.toSorted((a, b) => rank(a) - rank(b));
}

/**
 * Opens each file with the private keys at hand, and tells which are to be trusted: those that are sound without a key
 * and authentic with it. The values are dropped at once.
 * @throws GranaryError as `lintSecrets`
 */
export async function verifySecrets(
  files: readonly string[],
  folder: string,
  identities: Identities,
): Promise<SecretVerdict[]> {
  const rules = await rulesFor(files, folder);
  const verdicts: SecretVerdict[] = [];
  for (const file of files) verdicts.push(await verifyOne(file, rules, identities));
  return verdicts;
}

interface Rules {
  /** Of the rules themselves, and files that none of them is for. */
  readonly diagnostics: readonly Diagnostic[];
  /** null where no rule tells. */
  recipientsOf(file: string): readonly string[] | null;
}

async function rulesFor(files: readonly string[], folder: string): Promise<Rules> {
  const found = await findSopsRules(folder);
  if (found === null) return { diagnostics: [noRules(folder)], recipientsOf: () => null };
  const pathOf = (file: string) => relative(found.folder, resolve(file)).split(sep).join('/');
  return {
    diagnostics: lintSopsRules(found.rules, files.map(pathOf)),
    recipientsOf: (file) => found.rules.ruleFor(pathOf(file))?.recipients ?? null,
  };
}

function noRules(folder: string): Diagnostic {
  return {
    ...{ file: '.sops.yaml', line: 1, column: 1, severity: 'warning', code: 'sops-rule', pointer: '' },
    message: `there is no .sops.yaml in ${resolve(folder)}, so recipients cannot be compared with a rule`,
    hint: 'run this in the folder of the configuration, or name that with --path',
    subject: null,
  };
}

function lintOne(file: string, text: string, rules: Rules): Diagnostic[] {
  const strict = lintCredentialFile({ file, text, recipients: rules.recipientsOf(file) });
  const known = new Set(strict.map(placeOf));
  // Both see some of the same faults, and the reader of secrets says more about them.
  return [...strict, ...diagnoseFile({ file, text }).filter((one) => !known.has(placeOf(one)))].toSorted(
    (a, b) => a.line - b.line || a.column - b.column,
  );
}

async function verifyOne(file: string, rules: Rules, identities: Identities): Promise<SecretVerdict> {
  const reject = (code: string, message: string, hint: string | null): SecretVerdict => ({
    file,
    verdict: 'reject',
    code,
    message,
    hint,
  });
  const read = await readNamedFile(file);
  if (!('text' in read)) return reject(read.code, read.message, read.hint);
  let values: number;
  try {
    values = (await openCredentialFile({ file, text: read.text, identities })).size;
  } catch (error) {
    const { code, message, hint } = asGranaryError(error);
    return reject(code, message, hint ?? null);
  }
  const fault = lintOne(file, read.text, rules).find(({ severity }) => severity === 'error');
  if (fault !== undefined) return reject(fault.code, fault.message, fault.hint);
  const message = `${values} ${values === 1 ? 'value' : 'values'}, authentic`;
  return { file, verdict: 'accept', code: null, message, hint: null };
}

function placeOf({ line, column }: Diagnostic): string {
  return `${line}:${column}`;
}
