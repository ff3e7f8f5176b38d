/** Keys and values from a database, for people and for programs. All of it is text from outside. */
import type { StoredKey } from '../bolt/keys.ts';
import { utf8, type ValueForm, valueForm } from '../bolt/value-form.ts';
import { kindOf, parseKubernetesKey } from '../model/kubernetes-key.ts';
import { printable } from '../model/printable.ts';
import { formatCount } from '../model/units.ts';
import { indentJson } from './json-indent.ts';

/** A key on one line. Bytes that are no text are `\xNN`, as control characters are. */
export function keyText(key: Uint8Array): string {
  const text = utf8(key);
  return text === undefined ? escaped(key) : printable(text);
}

function escaped(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) =>
    byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`,
  ).join('');
}

/** `Pod shop/web-1`; undefined where it is no key of Kubernetes. */
export function objectText(key: Uint8Array): string | undefined {
  const object = parseKubernetesKey(utf8(key) ?? '');
  if (object === undefined) return undefined;
  const { namespace, name } = object;
  return printable(`${kindOf(object)} ${namespace === null ? '' : `${namespace}/`}${name}`);
}

/** `{name: text}`, or `{nameBase64: …}` for bytes that are no text. */
export function bytesJson(name: string, bytes: Uint8Array): Record<string, string> {
  const text = utf8(bytes);
  if (text !== undefined) return { [name]: text };
  return { [`${name}Base64`]: Buffer.from(bytes).toString('base64') };
}

/** A key without its value. */
export function keyJson(record: StoredKey): Record<string, unknown> {
  const { key, createRevision, modRevision, version } = record;
  return {
    ...bytesJson('key', key),
    ...{ createRevision, modRevision, version },
    lease: leaseText(record),
    valueBytes: record.valueLength,
    kubernetes: parseKubernetesKey(utf8(key) ?? '') ?? null,
  };
}

/** What a value is, and the value. */
export function valueJson(value: Uint8Array): Record<string, unknown> {
  const form = valueForm(value);
  return { ...detailsOf(form), ...bytesJson('value', value) };
}

function detailsOf(form: ValueForm): Record<string, unknown> {
  switch (form.form) {
    case 'json':
    case 'text':
    case 'binary':
      return { form: form.form };
    case 'kubernetes-protobuf':
    case 'kubernetes-encrypted':
      return form;
  }
}

/** A value for people: JSON indented, text as it is but for control characters, of anything else what it is. */
export function valueText(value: Uint8Array): string {
  const form = valueForm(value);
  const bytes = `${formatCount(value.length)} bytes`;
  switch (form.form) {
    case 'json':
      return lines(indentJson(form.text));
    case 'text':
      return lines(form.text);
    case 'kubernetes-protobuf':
      return `apiVersion: ${printable(form.apiVersion)}\nkind: ${printable(form.kind)}\n# ${bytes} of Kubernetes protobuf`;
    case 'kubernetes-encrypted':
      return `# ${bytes}, encrypted by Kubernetes: provider ${form.provider}, key ${printable(form.keyName)}`;
    case 'binary':
      return `# ${bytes} that are no text`;
  }
}

/** Line ends and tabs stay. */
function lines(text: string): string {
  return text
    .split('\n')
    .map((line) => line.split('\t').map(printable).join('\t'))
    .join('\n');
}

/** Hexadecimal, as etcdctl prints it; null: none. */
export function leaseText({ lease }: StoredKey): string | null {
  return lease === 0n ? null : lease.toString(16);
}
