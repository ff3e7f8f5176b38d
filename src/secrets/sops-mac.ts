/**
 * Opens the values of a credential file and checks SOPS' message authentication code over all of them: SHA-512 of
 * the values' bytes in document order, itself encrypted with `lastmodified` as additional data (reference "SOPS
 * files", The MAC). Nothing is handed out before the code is right.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { GranaryError } from '../model/errors.ts';
import { decryptValue } from './sops-cipher.ts';
import type { CredentialFile, MacPart } from './sops-file.ts';

const tamperedHint =
  'take the file from a commit you trust; if somebody else may have changed it, change the secret itself too';

/**
 * The values of `data` by key. `sops-tampered` where a value, its place, or anything else that the code covers is not
 * as SOPS left it; `sops-invalid` where a value is no UTF-8 text.
 */
export function openVerified(path: string, file: CredentialFile, dataKey: Uint8Array): Map<string, string> {
  const values = new Map<string, string>();
  const plainBytes = new Map<string, Buffer>();
  for (const [key, value] of file.data) {
    const bytes = decryptValue(value, dataKey, `data:${key}:`);
    if (bytes === null)
      throw tampered(path, file.lines.get(key), `data.${key} is not what was encrypted there`);
    plainBytes.set(key, bytes);
    values.set(key, decodeText(path, file.lines.get(key), key, bytes));
  }

  const computed = Buffer.from(macOf(file.macParts, plainBytes));
  const { mac, lastModified } = file.metadata;
  const stored = decryptValue(mac, dataKey, lastModified);
  const line = file.lines.get('');
  if (stored === null)
    throw tampered(path, line, 'the authentication code (sops.mac) or sops.lastmodified was changed');
  if (stored.length !== computed.length || !timingSafeEqual(stored, computed)) {
    throw tampered(path, line, 'values were changed, added, removed or reordered after it was encrypted');
  }
  return values;
}

/** The code itself, before it is encrypted, over parts in their order. @param values of `data`, by key */
export function macOf(parts: readonly MacPart[], values: ReadonlyMap<string, Buffer | string>): string {
  const hash = createHash('sha512');
  for (const part of parts) hash.update('plain' in part ? part.plain : (values.get(part.encrypted) ?? ''));
  return hash.digest('hex').toUpperCase();
}

function tampered(path: string, line: number | undefined, what: string): GranaryError {
  return new GranaryError('sops-tampered', `${path}${line === undefined ? '' : `:${line}`}: ${what}`, {
    hint: tamperedHint,
    context: { file: path, line: line ?? null },
  });
}

function decodeText(path: string, line: number | undefined, key: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new GranaryError('sops-invalid', `${path}:${line ?? 1}: data.${key} is not UTF-8 text`, {
      hint: 'encode binary content as base64 before encrypting it',
      context: { file: path, line: line ?? null },
    });
  }
}
