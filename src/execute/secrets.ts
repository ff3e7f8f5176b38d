/** Credential files by themselves: what can be said of them without a private key, and with one. */
import { diagnoseFile, readNamedFile } from '../config/index.ts';
import type { Diagnostic } from '../model/config.ts';
import { asGranaryError } from '../model/errors.ts';
import { lintCredentialFile, openCredentialFile } from '../secrets/credential-file.ts';
import type { Identities } from '../secrets/identities.ts';
import type { RememberedCredentials } from '../secrets/remembered.ts';
import { type Rules, rulesFor } from './sops-rules.ts';

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
 * What can be said about SOPS files without a private key: their YAML, how they are encrypted, and whether for those whom
 * the rule in `.sops.yaml` names. What is wrong with the Credential in them is a warning here, an error of `validate`. Errors first, then in the order of the files. What is
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
  options: VerifyOptions,
): Promise<SecretVerdict[]> {
  const rules = await rulesFor(files, folder);
  const verdicts: SecretVerdict[] = [];
  for (const file of files) {
    options.signal.throwIfAborted();
    verdicts.push(await verifyOne(file, rules, options));
  }
  return verdicts;
}

export interface VerifyOptions {
  readonly identities: Identities;
  /** How new credentials were that were accepted. Nothing is added to it: to verify is not to accept. */
  readonly remembered?: RememberedCredentials | undefined;
  readonly signal: AbortSignal;
}

/** How a file is encrypted and for whom. Whether it is a valid Credential is the business of `validate`: told, as warnings. */
function lintOne(file: string, text: string, rules: Rules): Diagnostic[] {
  const options = { file, text, recipients: rules.recipientsOf(file) };
  const found = lintCredentialFile({ ...options, plainPart: 'any' });
  if (isOurs.test(text)) {
    const known = new Set(found.map(placeOf));
    // Several see some of the same faults; the first says most about them.
    for (const one of [...lintCredentialFile(options), ...diagnoseFile({ file, text })]) {
      if (!known.has(placeOf(one))) found.push({ ...one, severity: 'warning' });
      known.add(placeOf(one));
    }
  }
  return found.toSorted((a, b) => a.line - b.line || a.column - b.column);
}

const isOurs = /^apiVersion: *["']?granary\.dev\//m;

async function verifyOne(
  file: string,
  rules: Rules,
  { identities, remembered, signal }: VerifyOptions,
): Promise<SecretVerdict> {
  const reject = (code: string, message: string, hint: string | null): SecretVerdict => ({
    file,
    verdict: 'reject',
    code,
    message,
    hint,
  });
  const read = await readNamedFile(file);
  if (!('text' in read)) return reject(read.code, read.message, read.hint);
  const { text } = read;
  let values: number;
  try {
    const opened = await openCredentialFile({ file, text, identities, signal, plainPart: 'any' });
    values = opened.values.size;
    if (opened.name !== null) await remembered?.check(opened.name, file, opened.lastModified);
  } catch (error) {
    signal.throwIfAborted();
    const { code, message, hint } = asGranaryError(error);
    return reject(code, message, hint ?? null);
  }
  const fault = lintOne(file, text, rules).find(({ severity }) => severity === 'error');
  if (fault !== undefined) return reject(fault.code, fault.message, fault.hint);
  const message = `${values} ${values === 1 ? 'value' : 'values'}, authentic`;
  return { file, verdict: 'accept', code: null, message, hint: null };
}

function placeOf({ line, column }: Diagnostic): string {
  return `${line}:${column}`;
}
