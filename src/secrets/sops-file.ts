/**
 * A credential file as a whole, read without any key: what is plain, what is encrypted, for whom. Strict: it refuses
 * what SOPS' MAC does not protect (reference "SOPS files", points 1, 2, 4 and 5).
 */
import { isMap, isScalar, isSeq, type ParsedNode } from 'yaml';
import type { Diagnostic } from '../model/config.ts';
import type { FaultList } from './faults.ts';
import { type EncryptedValue, looksEncrypted, parseEncrypted } from './sops-cipher.ts';
import { type Range, readSopsMetadata, type SopsMetadata } from './sops-metadata.ts';
import { isTyped, signedScalar } from './sops-scalar.ts';
import { type Entry, entriesOf, offsetOf, readStrictYaml, textOf } from './sops-yaml.ts';

export interface CredentialFile {
  /** `metadata.name`, where it has one. */
  readonly name: string | null;
  readonly metadata: SopsMetadata;
  /** The encrypted values by their key, in document order. */
  readonly data: ReadonlyMap<string, EncryptedValue>;
  /** Where the encrypted values stand in the file, by their key. */
  readonly ranges: ReadonlyMap<string, Range>;
  /** What the MAC is made over, in document order: bytes of plain values, and keys of encrypted ones. */
  readonly macParts: readonly MacPart[];
  /** Line of each key of `data`, for messages; that of the MAC under the empty name. */
  readonly lines: ReadonlyMap<string, number>;
}

export type MacPart = { readonly plain: string } | { readonly encrypted: string };

const topLevel = ['apiVersion', 'kind', 'metadata', 'spec', 'data', 'sops'];

/** Names of values. Those that YAML takes for a number or a date are refused too: `sops-age` leaves digits out of the path. */
const dataKey = /^[A-Za-z0-9._-]{1,64}$/;
/** What go-yaml reads as true, false or null where it stands as a key without quotes. */
const wordsOfYaml = /^(true|false|null|yes|no|on|off|y|n)$/i;

/**
 * `credential`: the plain part is that of a Credential, with nothing in it that SOPS does not protect. `any`: the plain
 * part may be anything that can be verified; only what is encrypted, how and for whom is judged (points 1 to 4 and 6).
 */
export type PlainPart = 'credential' | 'any';

/**
 * Reads a credential file. Either `file` is there and `faults` is empty, or the other way round. Never throws.
 * No fault holds a value of `data`, encrypted or not.
 */
export function readCredentialFile(
  file: string,
  text: string,
  plainPart: PlainPart = 'credential',
): { file: CredentialFile | null; faults: readonly Diagnostic[] } {
  const { faults, root } = readStrictYaml(text, file);
  if (root === null) return { file: null, faults: faults.all() };
  const entries = entriesOf(root);
  const named = (key: string) => entries.find((entry) => entry.key === key);
  faults.subject = nameOf(named('metadata'));

  const macParts: MacPart[] = [];
  const data = new Map<string, EncryptedValue>();
  const ranges = new Map<string, Range>();
  const offsets = new Map<string, number>();
  const encrypted = named('sops') !== undefined;
  for (const entry of entries) {
    if (plainPart === 'credential' && !topLevel.includes(entry.key)) {
      const what = `unknown field \`${printable(entry.key)}\` in a Credential`;
      faults.add('sops-plain-part', entry.keyOffset, '', what, `allowed are ${topLevel.join(', ')}`);
    } else if (entry.key === 'data') {
      readData(entry, { data, ranges, macParts, offsets, encrypted, faults });
    } else if (entry.key !== 'sops') {
      const pointer = `/${pointerSegment(entry.key)}`;
      readPlain(entry.value, entry.keyOffset, pointer, { parts: macParts, faults, plainPart });
    }
  }
  if (named('data') === undefined) {
    faults.add('sops-value', 0, '', 'the Credential has no `data`', 'add it with `sops edit FILE`');
  }
  const sops = named('sops');
  if (sops === undefined) {
    const hint = '`sops encrypt -i FILE`, and treat what was committed in plain text as known to others';
    if (!faults.faults.some((fault) => fault.code === 'plain-secret')) {
      faults.add('sops-missing', 0, '', 'the file is not encrypted: it has no `sops` block', hint);
    }
    return { file: null, faults: faults.all() };
  }
  const metadata = readSopsMetadata(sops.value, sops.keyOffset, faults);
  if (metadata === null || faults.faults.length > 0) return { file: null, faults: faults.all() };
  offsets.set('', metadata.macOffset);
  const lines = new Map([...offsets].map(([key, offset]) => [key, faults.positionOf(offset).line]));
  return { file: { name: faults.subject, metadata, data, ranges, macParts, lines }, faults: [] };
}

function nameOf(metadata: Entry | undefined): string | null {
  if (metadata === undefined || !isMap(metadata.value)) return null;
  return textOf(entriesOf(metadata.value).find((entry) => entry.key === 'name')?.value) ?? null;
}

interface DataTarget {
  readonly data: Map<string, EncryptedValue>;
  readonly ranges: Map<string, Range>;
  readonly macParts: MacPart[];
  readonly offsets: Map<string, number>;
  /** Whether the file has a `sops` block at all. */
  readonly encrypted: boolean;
  readonly faults: FaultList;
}

/** `data`: flat, each value encrypted text. Values are in no message: what is not encrypted is a secret in the open. */
function readData(entry: Entry, target: DataTarget): void {
  const { faults } = target;
  if (!isMap(entry.value) || entry.value.items.length === 0) {
    const hint = 'one `name: value` a line below `data:`, then `sops encrypt -i FILE`';
    faults.add('sops-value', entry.keyOffset, '/data', '`data` is not a map with at least one value', hint);
    return;
  }
  for (const { key, keyOffset, value } of entriesOf(entry.value)) {
    const shown = printable(key);
    const pointer = `/data/${pointerSegment(key)}`;
    if (!dataKey.test(key) || wordsOfYaml.test(key) || isTyped(key)) {
      const hint =
        'names in `data` have only letters, digits, dots, dashes and underscores, and are none that YAML takes for true, false, null, a number or a date';
      faults.add('sops-value', keyOffset, '/data', `a name in \`data\` is not allowed: \`${shown}\``, hint);
      continue;
    }
    const at = offsetOf(value, keyOffset);
    if (!isScalar(value)) {
      const hint =
        '`data` is flat: a JSON document goes in as one text (`|` and indented lines), then encrypt again';
      faults.add('sops-value', at, pointer, `data.${shown} is not one text`, hint);
      continue;
    }
    const written = String(value.value);
    if (!looksEncrypted(written)) {
      // Whether it is empty may be said; what it is may not.
      if (written === '') {
        const hint =
          'give it a value with `sops edit FILE`, or remove it: SOPS does not protect an empty one';
        faults.add('sops-value', at, pointer, `data.${shown} is empty`, hint);
      } else
        faults.add(
          'plain-secret',
          at,
          pointer,
          `data.${shown} is in plain text`,
          plainSecretHint(target.encrypted),
        );
      continue;
    }
    const parsed = parseEncrypted(written);
    if (typeof parsed === 'string') {
      const hint = parsed.startsWith('encrypted as')
        ? `write the value in quotes with \`sops edit FILE\`, so that it is text`
        : 'take the value from an earlier commit, or set it anew with `sops edit FILE`';
      faults.add('sops-value', at, pointer, `data.${shown} is ${parsed}`, hint);
      continue;
    }
    target.data.set(key, parsed);
    target.ranges.set(key, [value.range[0], value.range[1]]);
    target.macParts.push({ encrypted: key });
    target.offsets.set(key, keyOffset);
  }
}

function plainSecretHint(encrypted: boolean): string {
  const how = encrypted
    ? '`sops encrypt` refuses a file that has a sops block already: set the value with `sops set` or `sops edit`'
    : '`sops encrypt -i FILE`';
  return `${how}; if it was ever pushed, change the secret itself too`;
}

interface PlainTarget {
  readonly parts: MacPart[];
  readonly faults: FaultList;
  readonly plainPart: PlainPart;
}

/** The plain part. Of a Credential: texts, booleans, and lists and maps of them; what the MAC does not see is refused. */
function readPlain(node: ParsedNode | null, at: number, pointer: string, target: PlainTarget): void {
  const { parts, faults, plainPart } = target;
  const isClosed = plainPart === 'credential';
  const refuse = (message: string, hint: string, offset = offsetOf(node, at)) =>
    faults.add(
      'sops-plain-part',
      offset,
      pointer,
      `${pointer.slice(1).replaceAll('/', '.')} ${message}`,
      hint,
    );
  const emptyHint =
    'leave the field out: SOPS’ check does not see an empty one, so anybody could add or remove it';
  if (isMap(node)) {
    if (isClosed && node.items.length === 0) refuse('is an empty map', emptyHint);
    for (const { key, keyOffset, value } of entriesOf(node)) {
      if (key === 'data') {
        refuse('has a key `data`, which SOPS would encrypt too', 'choose another name', keyOffset);
      } else readPlain(value, keyOffset, `${pointer}/${pointerSegment(key)}`, target);
    }
  } else if (isSeq(node)) {
    if (isClosed && node.items.length === 0) refuse('is an empty list', emptyHint);
    for (const [index, item] of node.items.entries()) {
      readPlain(item as ParsedNode, at, `${pointer}/${index}`, target);
    }
  } else if (!isScalar(node)) {
    if (isClosed) refuse('has no value', emptyHint);
  } else {
    const value = signedScalar(node);
    if (value === null) {
      if (isClosed) refuse('is empty', emptyHint);
    } else if (value === undefined || (isClosed && value.type !== 'text' && value.type !== 'word')) {
      refuse('is a number or a date', 'write it in quotes, and encrypt the file again');
    } else if (looksEncrypted(value.signed)) {
      refuse('is encrypted, but only `data` may be', 'encrypted_regex must be ^data$');
    } else parts.push({ plain: value.signed });
  }
}

/** A key from the file, made fit for a message. A private key that was put in a wrong place is not repeated. */
function printable(key: string): string {
  if (/AGE-SECRET-KEY/i.test(key)) return '…';
  const clean = key.replace(/[^\x20-\x7e]/g, '?');
  return clean.length > 60 ? `${clean.slice(0, 60)}…` : clean;
}

/** A key as part of a JSON pointer (RFC 6901). */
function pointerSegment(key: string): string {
  return printable(key).replaceAll('~', '~0').replaceAll('/', '~1');
}
