/**
 * A credential file with other values. Where an age or SSH key opens it, the values are set here, as `sops set` does:
 * fresh ciphertexts for what changes, a new authentication code and moment, and everything else byte for byte as it
 * was. No key and no value leaves the process for that.
 */
import { GranaryError } from '../model/errors.ts';
import { noKeyFits, openDataKey } from './data-key.ts';
import type { Identities } from './identities.ts';
import type { Secret } from './secret.ts';
import { encryptText } from './sops-cipher.ts';
import type { CredentialFile } from './sops-file.ts';
import { macOf, openVerified } from './sops-mac.ts';
import { needsProgram, type ProgramOptions, setWithProgram } from './sops-program.ts';

export interface RewriteOptions extends ProgramOptions {
  readonly identities: Identities;
  /** The new values; those that are not named stay. A name that is not in the file is added at the end. */
  readonly values: ReadonlyMap<string, Secret>;
  readonly now: Date;
}

/**
 * @param file of `text`, which was read strictly
 * @throws GranaryError as `openCredentialFile`
 */
export async function rewriteCredentialFile(
  path: string,
  text: string,
  file: CredentialFile,
  options: RewriteOptions,
): Promise<string> {
  const { identities, now } = options;
  const values = new Map([...options.values].map(([key, secret]) => [key, secret.reveal()]));
  const opened = await openDataKey(path, file, identities);
  if (opened === null) {
    if (!needsProgram(file, identities)) throw noKeyFits(path, file, identities);
    return setWithProgram(path, text, file, values, identities, options);
  }
  try {
    return setValues(path, text, file, opened.dataKey, values, now);
  } finally {
    opened.dataKey.fill(0);
  }
}

function setValues(
  path: string,
  text: string,
  file: CredentialFile,
  dataKey: Uint8Array,
  changed: ReadonlyMap<string, string>,
  now: Date,
): string {
  const all = new Map([...openVerified(path, file, dataKey), ...changed]);
  const lastModified = momentAfter(file.metadata.lastModified, now);
  const added = [...changed.keys()].filter((key) => !file.data.has(key));
  const lastData = file.macParts.findLastIndex((part) => 'encrypted' in part) + 1;
  const parts = file.macParts.toSpliced(lastData, 0, ...added.map((key) => ({ encrypted: key })));
  const sealed = (key: string) => encryptText(changed.get(key) ?? '', dataKey, `data:${key}:`);

  const { ranges } = file.metadata;
  const edits = [
    { range: ranges.lastmodified, by: JSON.stringify(lastModified) },
    { range: ranges.mac, by: encryptText(macOf(parts, all), dataKey, lastModified) },
  ];
  for (const key of changed.keys()) {
    const range = file.ranges.get(key);
    if (range === undefined) continue;
    // In quotes where it was: between braces it has to be.
    const isQuoted = /["']/.test(text[range[0]] ?? '');
    edits.push({ range, by: isQuoted ? JSON.stringify(sealed(key)) : sealed(key) });
  }
  if (added.length > 0) {
    const { at, indent } = endOfData(path, text, file);
    edits.push({ range: [at, at], by: added.map((key) => `\n${indent}${key}: ${sealed(key)}`).join('') });
  }
  // From the end, so that the places of the others stay right.
  return edits
    .toSorted((a, b) => b.range[0] - a.range[0])
    .reduce((done, { range: [start, end], by }) => done.slice(0, start) + by + done.slice(end), text);
}

/** Where a further line of `data` goes. */
function endOfData(path: string, text: string, file: CredentialFile): { at: number; indent: string } {
  const starts = [...file.ranges.values()].map(([start]) => start);
  const last = Math.max(...starts);
  const begin = text.lastIndexOf('\n', last) + 1;
  const [, indent] = /^( +)[^\s:]+: +$/.exec(text.slice(begin, last)) ?? [];
  const end = text.indexOf('\n', last);
  if (indent !== undefined && end >= 0) return { at: end, indent };
  throw new GranaryError('sops-invalid', `${path}: \`data\` is not written one name a line`, {
    hint: 'add the name with `sops edit FILE`, which writes the file anew',
    context: { file: path },
  });
}

/** Now, or one second after the last change where the clock of this machine is behind it: it must never go back. */
function momentAfter(before: string, now: Date): string {
  const seconds = Math.max(Math.floor(now.getTime() / 1000), Date.parse(before) / 1000 + 1);
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}
