/**
 * Keys that are not age's own: PGP, the key services of clouds, Vault, age plugins. Granary does not open with them
 * itself; the `sops` program does. What can be said of them without asking anybody is here: how sops writes them into a
 * file, how a rule in `.sops.yaml` names them, and one way to write both so that they can be compared.
 */
import { isMap, isSeq, type ParsedNode } from 'yaml';
import { entriesOf, offsetOf, textOf } from './sops-yaml.ts';

/** A key that opens a file with the help of the `sops` program. */
export interface ForeignKey {
  readonly kind: ForeignKind;
  /** What to call it, and to compare it by: `pgp 0123…`, `kms arn:aws:kms:…`. Public. */
  readonly recipient: string;
  readonly line: number;
  readonly column: number;
}

export const foreignKinds = ['pgp', 'kms', 'gcp_kms', 'azure_kv', 'hc_vault', 'hckms'] as const;
export type ForeignKind = (typeof foreignKinds)[number] | 'age-plugin';

/** Who runs such keys, in words. */
export const kindInWords: Readonly<Record<ForeignKind, string>> = {
  pgp: 'PGP',
  kms: 'AWS KMS',
  gcp_kms: 'Google Cloud KMS',
  azure_kv: 'Azure Key Vault',
  hc_vault: 'Vault',
  hckms: 'Huawei Cloud KMS',
  'age-plugin': 'an age plugin',
};

interface Shape {
  /** Fields that every entry has beside `created_at` and `enc`. */
  readonly fields: readonly string[];
  readonly optional?: readonly string[];
  name(field: (name: string) => string): string;
}

/** What sops writes (its stores/stores.go). A version of an Azure key is not part of its name: a rule may leave it out. */
const shapes: Readonly<Record<(typeof foreignKinds)[number], Shape>> = {
  pgp: { fields: ['fp'], name: (field) => pgpName(field('fp')) },
  kms: {
    fields: ['arn'],
    optional: ['role', 'context', 'aws_profile'],
    name: (field) => kmsName(field('arn'), field('role')),
  },
  gcp_kms: { fields: ['resource_id'], name: (field) => `gcp_kms ${field('resource_id')}` },
  azure_kv: {
    fields: ['vault_url', 'name'],
    optional: ['version'],
    name: (field) => azureName(field('vault_url'), field('name')),
  },
  hc_vault: {
    fields: ['vault_address', 'engine_path', 'key_name'],
    name: (field) =>
      vaultName(`${field('vault_address')}/v1/${field('engine_path')}/keys/${field('key_name')}`),
  },
  hckms: { fields: ['key_id'], name: (field) => `hckms ${field('key_id')}` },
};

/** Something that can be named in a message and on a terminal. */
const nameable = /^[\x21-\x7e]+ [\x21-\x7e]{1,400}$/;

/**
 * The keys of one kind in the `sops` block.
 * @param fail is told what is wrong with an entry, and where
 */
export function readForeignKeys(
  kind: (typeof foreignKinds)[number],
  node: ParsedNode | null,
  offset: number,
  fail: (offset: number, message: string) => void,
): { recipient: string; offset: number }[] {
  const found: { recipient: string; offset: number }[] = [];
  if (!isSeq(node)) {
    fail(offset, `sops.${kind} is not a list`);
    return found;
  }
  const { fields, optional = [], name } = shapes[kind];
  for (const item of node.items) {
    const at = offsetOf(item, offset);
    const entries = isMap(item) ? entriesOf(item) : [];
    const known = [...fields, ...optional, 'created_at', 'enc'];
    const text = (field: string) => textOf(entries.find(({ key }) => key === field)?.value) ?? '';
    const lacks = [...fields, 'enc'].find((field) => text(field) === '');
    if (lacks !== undefined || entries.some(({ key }) => !known.includes(key))) {
      fail(at, `an entry of sops.${kind} has other fields than sops writes`);
      continue;
    }
    const recipient = name(text);
    if (!nameable.test(recipient)) fail(at, `an entry of sops.${kind} names no key`);
    else if (found.some((one) => one.recipient === recipient)) {
      fail(at, `${recipient} stands in sops.${kind} twice`);
    } else found.push({ recipient, offset: at });
  }
  return found;
}

/** The fields of a rule, and of a key group, that name such keys, each with the kind that it names. */
const ruleFields: Readonly<Record<string, (typeof foreignKinds)[number]>> = {
  pgp: 'pgp',
  kms: 'kms',
  gcp_kms: 'gcp_kms',
  azure_keyvault: 'azure_kv',
  hc_vault_transit_uri: 'hc_vault',
  hc_vault: 'hc_vault',
  hckms: 'hckms',
};

/** The keys that a rule of `.sops.yaml`, or its only key group, names beside age recipients. Never throws. */
export function foreignKeysOfRule(rule: Readonly<Record<string, unknown>>): string[] {
  const found = Object.entries(ruleFields).flatMap(([field, kind]) =>
    listOf(rule[field]).map((written) => ruleName(kind, written)),
  );
  return [...new Set(found)].filter((name) => nameable.test(name));
}

/** `pgp`, `kms` and the like as sops takes them: one text, several with commas, a list of texts or of maps. */
function listOf(value: unknown): (string | Readonly<Record<string, unknown>>)[] {
  if (typeof value === 'string') {
    return value
      .split(',')
      .map((text) => text.trim())
      .filter((text) => text !== '');
  }
  if (!Array.isArray(value)) return [];
  return value.filter((one) => typeof one === 'string' || (typeof one === 'object' && one !== null));
}

function ruleName(
  kind: (typeof foreignKinds)[number],
  written: string | Readonly<Record<string, unknown>>,
): string {
  const field = (name: string) => {
    const value = typeof written === 'string' ? undefined : written[name];
    return typeof value === 'string' ? value : '';
  };
  const text = typeof written === 'string' ? written.trim() : '';
  if (kind === 'pgp') return pgpName(text);
  if (kind === 'kms') {
    const [arn = '', role = ''] = (text.split('|')[0] ?? '').split('+');
    return text === '' ? kmsName(field('arn'), field('role')) : kmsName(arn, role);
  }
  if (kind === 'gcp_kms') return `gcp_kms ${text || field('resource_id')}`;
  if (kind === 'hckms') return `hckms ${text || field('key_id')}`;
  if (kind === 'hc_vault') return vaultName(text);
  const [, url = '', key = ''] = /^(https:\/\/[^/]+)\/keys\/([^/]+)/.exec(text) ?? [];
  return text === '' ? azureName(field('vaultUrl'), field('key')) : azureName(url, key);
}

function pgpName(fingerprint: string): string {
  return `pgp ${fingerprint.replaceAll(' ', '').toUpperCase()}`;
}

function kmsName(arn: string, role: string): string {
  return role === '' ? `kms ${arn}` : `kms ${arn}+${role}`;
}

function azureName(url: string, key: string): string {
  return `azure_kv ${url.replace(/\/+$/, '')}/keys/${key}`;
}

function vaultName(uri: string): string {
  return `hc_vault ${uri.replace(/([^:])\/{2,}/g, '$1/')}`;
}
