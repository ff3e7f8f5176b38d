/** What a value is, as far as its first bytes tell. Nothing encrypted is ever opened. */
import { ProtobufReader, wire } from './protobuf.ts';

export type ValueForm =
  | { readonly form: 'json'; readonly text: string }
  | { readonly form: 'text'; readonly text: string }
  | { readonly form: 'kubernetes-protobuf'; readonly apiVersion: string; readonly kind: string }
  | { readonly form: 'kubernetes-encrypted'; readonly provider: string; readonly keyName: string }
  | { readonly form: 'binary' };

/** https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding */
export const protobufMark = Buffer.from('k8s\0');
/** `k8s:enc:aescbc:v1:key1:`: https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/ */
const encryption = /^k8s:enc:([a-z0-9]{1,20}):(v\d{1,2}):([\x21-\x39\x3b-\x7e]{1,200}):/;
/** What an encrypted value begins with. */
export const encryptedStart = Buffer.from('k8s:');
/** Names are short. */
const maxMarkBytes = 300;

/** What Kubernetes has encrypted a value with, as `k8s:enc:PROVIDER:VERSION:KEY:` at its beginning says. */
export interface Encryption {
  readonly provider: string;
  readonly version: string;
  readonly keyName: string;
}

/** null: the value does not say that it is encrypted. */
export function encryptionOf(value: Buffer): Encryption | null {
  const [, provider, version, keyName] = encryption.exec(value.toString('latin1', 0, maxMarkBytes)) ?? [];
  if (provider === undefined || version === undefined || keyName === undefined) return null;
  return { provider, version, keyName };
}

/** Looks at a value. Bytes that are no valid UTF-8 are `binary`. */
export function valueForm(value: Uint8Array): ValueForm {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.length);
  if (bytes.subarray(0, protobufMark.length).equals(protobufMark)) return protobufForm(bytes);
  const encrypted = encryptionOf(bytes);
  if (encrypted !== null) {
    const { provider, keyName } = encrypted;
    return { form: 'kubernetes-encrypted', provider, keyName };
  }
  const text = utf8(bytes);
  if (text === undefined) return { form: 'binary' };
  try {
    if (/^\s*[[{]/.test(text)) {
      JSON.parse(text);
      return { form: 'json', text };
    }
  } catch {
    // Text that only begins like JSON.
  }
  return { form: 'text', text };
}

/** The text, where the bytes are valid UTF-8. */
export function utf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** `runtime.Unknown{typeMeta=1: TypeMeta{apiVersion=1, kind=2}, …}` after the mark. */
function protobufForm(bytes: Buffer): ValueForm {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const message = new ProtobufReader().open(view, protobufMark.length, bytes.length - protobufMark.length);
  const found: { apiVersion?: string; kind?: string } = {};
  while (message.next()) {
    if (message.field !== 1 || message.type !== wire.bytes) continue;
    const meta = new ProtobufReader().open(view, message.start, message.length);
    while (meta.next()) {
      if (meta.type !== wire.bytes) continue;
      const text = bytes.toString('utf8', meta.start, meta.start + meta.length);
      if (meta.field === 1) found.apiVersion = text;
      if (meta.field === 2) found.kind = text;
    }
    break;
  }
  const { apiVersion, kind } = found;
  if (apiVersion === undefined || kind === undefined) return { form: 'binary' };
  return { form: 'kubernetes-protobuf', apiVersion, kind };
}
