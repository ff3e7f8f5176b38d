/** The `sops` block of a credential file: a closed set of fields. */
import { armor } from 'age-encryption';
import { isMap, isScalar, isSeq, type ParsedNode } from 'yaml';
import type { FaultList } from './faults.ts';
import { type ForeignKey, foreignKinds, readForeignKeys } from './foreign-keys.ts';
import { readSopsRecipient, type SopsRecipient, shownRecipient } from './recipients.ts';
import { type EncryptedValue, parseEncrypted } from './sops-cipher.ts';
import { entriesOf, offsetOf, textOf } from './sops-yaml.ts';
import { sshFingerprint } from './ssh-stanza.ts';

/** The data key, encrypted to one recipient. */
export interface Stanza extends SopsRecipient {
  /** A whole age file. */
  readonly file: Uint8Array;
  readonly line: number;
  readonly column: number;
}

/** Where a value begins and ends, in characters from the start of the file. */
export type Range = readonly [start: number, end: number];

export interface SopsMetadata {
  /** Each recipient once; empty only where there are foreign keys. */
  readonly stanzas: readonly Stanza[];
  /** Keys that only the `sops` program can open with; those of age plugins are stanzas. */
  readonly foreign: readonly ForeignKey[];
  /** Where the values of these fields stand in the file. */
  readonly ranges: { readonly age: Range | null; readonly lastmodified: Range; readonly mac: Range };
  /** RFC 3339 in UTC, as written: it is the additional data of the MAC. */
  readonly lastModified: string;
  readonly mac: EncryptedValue;
  readonly macOffset: number;
}

const otherSelections = [
  'unencrypted_suffix',
  'encrypted_suffix',
  'unencrypted_regex',
  'unencrypted_comment_regex',
  'encrypted_comment_regex',
];
const version = /^3\.(0|[1-9]\d{0,3})\.(0|[1-9]\d{0,3})(-[0-9A-Za-z.-]{1,30})?$/;

const encryptAgainHint =
  'with `encrypted_regex: ^data$` in the rule of .sops.yaml: `sops decrypt -i FILE`, then `sops encrypt -i FILE`';

/** Reads the block, or says what is wrong with it in `faults` and gives null. */
export function readSopsMetadata(
  node: ParsedNode | null,
  offset: number,
  faults: FaultList,
): SopsMetadata | null {
  const before = faults.faults.length;
  const fail = (
    code: 'sops-metadata' | 'sops-unsupported',
    at: number,
    field: string,
    what: string,
    hint: string,
  ) => faults.add(code, at, field === '' ? '/sops' : `/sops/${field}`, what, hint);
  const damagedHint =
    'let sops write this block: take the file from an earlier commit, or encrypt the values anew';
  if (!isMap(node)) {
    fail('sops-metadata', offset, '', '`sops` is not a map', damagedHint);
    return null;
  }

  const foreign: ForeignKey[] = [];
  const fields = new Map<string, { value: ParsedNode | null; offset: number }>();
  for (const { key, keyOffset, value } of entriesOf(node)) {
    fields.set(key, { value, offset: keyOffset });
    if (['age', 'lastmodified', 'mac', 'version', 'encrypted_regex'].includes(key)) continue;
    const kind = foreignKinds.find((one) => one === key);
    if (kind !== undefined) {
      // sops before 3.10 wrote an empty list for each kind of key that was not used.
      const keys = readForeignKeys(kind, value, keyOffset, (at, message) =>
        fail('sops-metadata', at, key, message, damagedHint),
      );
      for (const { recipient, offset: at } of keys) {
        foreign.push({ kind, recipient, ...faults.positionOf(at) });
      }
    } else if (key === 'key_groups' || key === 'shamir_threshold') {
      fail(
        'sops-unsupported',
        keyOffset,
        key,
        'key groups (Shamir) are not supported',
        'give one flat list of age recipients in .sops.yaml, then `sops updatekeys FILE`',
      );
    } else if (key === 'mac_only_encrypted') {
      fail(
        'sops-unsupported',
        keyOffset,
        key,
        'mac_only_encrypted leaves the plain part of the credential unprotected',
        `take it out of .sops.yaml and encrypt again ${encryptAgainHint}`,
      );
    } else if (otherSelections.includes(key)) {
      fail(
        'sops-unsupported',
        keyOffset,
        key,
        `sops.${key} is not supported: only encrypted_regex ^data$ is`,
        `encrypt again ${encryptAgainHint}`,
      );
    } else {
      fail('sops-metadata', keyOffset, key, 'a field in `sops` that sops does not write', damagedHint);
    }
  }
  const text = (name: string): string => {
    const field = fields.get(name);
    if (field !== undefined && isScalar(field.value)) return String(field.value.value);
    if (field !== undefined)
      fail('sops-metadata', field.offset, name, `sops.${name} is not a text`, damagedHint);
    else if (name === 'encrypted_regex') {
      fail(
        'sops-unsupported',
        offset,
        '',
        'encrypted_regex is missing: only `data` may be encrypted',
        `encrypt again ${encryptAgainHint}`,
      );
    } else fail('sops-metadata', offset, '', `sops.${name} is missing`, damagedHint);
    return '';
  };
  const at = (name: string) => fields.get(name)?.offset ?? offset;

  const regex = text('encrypted_regex');
  if (regex !== '' && regex !== '^data$') {
    fail(
      'sops-unsupported',
      at('encrypted_regex'),
      'encrypted_regex',
      'sops.encrypted_regex is not ^data$',
      `encrypt again ${encryptAgainHint}`,
    );
  }
  const writtenBy = text('version');
  if (writtenBy !== '' && !version.test(writtenBy)) {
    fail('sops-metadata', at('version'), 'version', 'sops.version is no version of sops 3', damagedHint);
  }
  const lastModified = text('lastmodified');
  if (lastModified !== '' && !isMoment(lastModified)) {
    fail(
      'sops-metadata',
      at('lastmodified'),
      'lastmodified',
      'sops.lastmodified is no moment in UTC',
      damagedHint,
    );
  }
  const macText = text('mac');
  const mac = macText === '' ? 'empty' : parseEncrypted(macText);
  if (typeof mac === 'string' && fields.has('mac')) {
    fail('sops-metadata', at('mac'), 'mac', `sops.mac is ${mac}`, damagedHint);
  }
  const age = fields.get('age')?.value ?? null;
  const stanzas = age === null && foreign.length > 0 ? [] : readStanzas(age, at('age'), faults, foreign);
  if (faults.faults.length > before || typeof mac === 'string') return null;
  const rangeOf = (name: string): Range => {
    const [start = 0, end = 0] = fields.get(name)?.value?.range ?? [];
    return [start, end];
  };
  const ranges = {
    age: age === null ? null : rangeOf('age'),
    lastmodified: rangeOf('lastmodified'),
    mac: rangeOf('mac'),
  };
  return { stanzas, foreign, ranges, lastModified, mac, macOffset: at('mac') };
}

function isMoment(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text)) return false;
  const time = new Date(text);
  return !Number.isNaN(time.getTime()) && time.toISOString() === text.replace('Z', '.000Z');
}

function readStanzas(
  node: ParsedNode | null,
  offset: number,
  faults: FaultList,
  foreign: readonly ForeignKey[],
): Stanza[] {
  const stanzas: Stanza[] = [];
  const updateHint = 'correct the recipients in .sops.yaml, then `sops updatekeys FILE`';
  if (isSeq(node) && node.items.length === 0 && foreign.length > 0) return stanzas;
  if (!isSeq(node) || node.items.length === 0) {
    faults.add('sops-recipient', offset, '/sops/age', 'sops.age lists no recipient', updateHint);
    return stanzas;
  }
  for (const [index, item] of node.items.entries()) {
    const pointer = `/sops/age/${index}`;
    const fail = (at: number, message: string, hint = updateHint) =>
      faults.add('sops-recipient', at, pointer, message, hint);
    const entries = isMap(item) ? entriesOf(item) : [];
    const recipient = textOf(entries.find((entry) => entry.key === 'recipient')?.value);
    const enc = textOf(entries.find((entry) => entry.key === 'enc')?.value);
    const itemOffset = offsetOf(item, offset);
    if (entries.length !== 2 || recipient === undefined || enc === undefined) {
      fail(itemOffset, 'an entry of sops.age has other fields than `recipient` and `enc`');
      continue;
    }
    const read = readSopsRecipient(recipient);
    if (typeof read === 'string') fail(itemOffset, `${shownRecipient(recipient)} in sops.age ${read}`);
    else if (stanzas.some((stanza) => stanza.recipient === read.recipient)) {
      fail(itemOffset, `recipient ${read.recipient} stands in sops.age twice`);
    } else {
      const file = decodeArmor(enc);
      if (file === null) fail(itemOffset, `the data key for ${read.recipient} is no age file`);
      else if (!hasOneStanza(file, read)) {
        // A second stanza in the same age file would let somebody read who is not listed as a recipient.
        const hint = '`sops rotate -i FILE` makes a new data key for exactly the recipients that are listed';
        const what = `the data key for ${read.recipient} is encrypted to more or others than that one key`;
        fail(itemOffset, what, hint);
      } else stanzas.push({ ...read, file, ...faults.positionOf(itemOffset) });
    }
  }
  return stanzas;
}

function decodeArmor(text: string): Uint8Array | null {
  try {
    const file = armor.decode(text);
    return armor.encode(file).trim() === text.trim() ? file : null;
  } catch {
    return null;
  }
}

/** The first line of the one stanza that a file for each kind of recipient has, and how long its body may be. */
const stanzaOf: Readonly<Record<SopsRecipient['kind'], (recipient: string) => RegExp>> = {
  x25519: () => /^-> X25519 [A-Za-z0-9+/]{43}\n[A-Za-z0-9+/]{43}\n$/,
  'ssh-ed25519': (recipient) =>
    new RegExp(
      `^-> ssh-ed25519 ${sshFingerprint(recipient).replaceAll('+', '\\+')} [A-Za-z0-9+/]{43}\n[A-Za-z0-9+/]{43}\n$`,
    ),
  'age-plugin': () => /^-> [\x21-\x7e]+( [\x21-\x7e]+)*\n([A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/]{0,63}\n$/,
};

/**
 * True for an age file whose header has exactly one stanza, of the kind that its recipient has (age's specification,
 * "The header"). Whom a plugin's stanza is for, only the plugin knows.
 */
function hasOneStanza(file: Uint8Array, { kind, recipient }: SopsRecipient): boolean {
  const text = Buffer.from(file).toString('latin1');
  const header = /^age-encryption\.org\/v1\n([\s\S]*?\n)--- [A-Za-z0-9+/]{43}\n/.exec(text);
  return header !== null && stanzaOf[kind](recipient).test(header[1] ?? '');
}
