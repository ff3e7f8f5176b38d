/**
 * One value as SOPS encrypts it: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:str]`. AES-256-GCM with a 32-byte IV, a
 * 16-byte tag, and the path of the value as additional data (reference "SOPS files", The MAC).
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

export interface EncryptedValue {
  readonly data: Buffer;
  readonly iv: Buffer;
  readonly tag: Buffer;
}

const shape = /^ENC\[AES256_GCM,data:([^,]*),iv:([^,]*),tag:([^,]*),type:([a-z]+)\]$/;

/** True where a text is, or pretends to be, something that SOPS encrypted. */
export function looksEncrypted(text: string): boolean {
  return text.trimStart().startsWith('ENC[');
}

/**
 * Reads an encrypted string, or says what is wrong with it in words that follow "is". Stricter than sops: canonical
 * base64, nothing behind the bracket, at least one byte, type `str` (sops would let the type be changed unnoticed).
 */
export function parseEncrypted(text: string): EncryptedValue | string {
  const match = shape.exec(text);
  if (match === null) return 'not a whole ENC[AES256_GCM,…] value';
  const [, data = '', iv = '', tag = '', type = ''] = match;
  const [dataBytes, ivBytes, tagBytes] = [data, iv, tag].map(canonicalBase64);
  if (!dataBytes || !ivBytes || !tagBytes) return 'damaged: its base64 is not canonical';
  if (ivBytes.length !== 32 || tagBytes.length !== 16) return 'damaged: its iv or tag has a wrong length';
  if (type !== 'str') return `encrypted as a ${type.slice(0, 10)}, not as text`;
  if (dataBytes.length === 0) return 'empty';
  return { data: dataBytes, iv: ivBytes, tag: tagBytes };
}

function canonicalBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}

/** The plain bytes; null where the tag does not fit: another key, another path, or a changed value. */
export function decryptValue(value: EncryptedValue, key: Uint8Array, additionalData: string): Buffer | null {
  const decipher = createDecipheriv('aes-256-gcm', key, value.iv, { authTagLength: 16 });
  decipher.setAAD(Buffer.from(additionalData));
  decipher.setAuthTag(value.tag);
  try {
    return Buffer.concat([decipher.update(value.data), decipher.final()]);
  } catch {
    return null;
  }
}

/** A text as SOPS writes it, with a fresh IV. @param additionalData as in `decryptValue` */
export function encryptText(text: string, key: Uint8Array, additionalData: string): string {
  const iv = randomBytes(32);
  const cipher = createCipheriv('aes-256-gcm', key, iv, { authTagLength: 16 });
  cipher.setAAD(Buffer.from(additionalData));
  const data = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  const [written, nonce, tag] = [data, iv, cipher.getAuthTag()].map((bytes) => bytes.toString('base64'));
  return `ENC[AES256_GCM,data:${written},iv:${nonce},tag:${tag},type:str]`;
}
