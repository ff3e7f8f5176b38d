/**
 * Keys on their way from one thread to another: a thousand small objects would be copied one by one, and be garbage on
 * both sides, so a batch is three arrays that change hands.
 */
import type { StoredKey } from './keys.ts';

/** Lengths of key and value, then createRevision, modRevision, version. */
const numbersPerKey = 5;

export interface PackedKeys {
  /** Each key, followed by its value where values were asked for. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly numbers: Float64Array<ArrayBuffer>;
  readonly leases: BigUint64Array<ArrayBuffer>;
  readonly hasValues: boolean;
}

/** @param records all with values, or all without */
export function packKeys(records: readonly StoredKey[], hasValues: boolean): PackedKeys {
  const total = records.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0);
  const bytes = new Uint8Array(total);
  const numbers = new Float64Array(records.length * numbersPerKey);
  const leases = new BigUint64Array(records.length);
  let at = 0;
  records.forEach(({ key, value, valueLength, createRevision, modRevision, version, lease }, index) => {
    bytes.set(key, at);
    at += key.length;
    if (value !== null) bytes.set(value, at);
    at += value?.length ?? 0;
    numbers.set([key.length, valueLength, createRevision, modRevision, version], index * numbersPerKey);
    leases[index] = lease;
  });
  return { bytes, numbers, leases, hasValues };
}

/** What `postMessage` hands over instead of copying it. */
export function transferOf({ bytes, numbers, leases }: PackedKeys): ArrayBuffer[] {
  return [bytes.buffer, numbers.buffer, leases.buffer];
}

/** The keys of a batch, in order. Their bytes are views of its own. */
export function* unpackKeys({ bytes, numbers, leases, hasValues }: PackedKeys): Generator<StoredKey> {
  let at = 0;
  for (const [index, lease] of leases.entries()) {
    const [keyLength = 0, valueLength = 0, createRevision = 0, modRevision = 0, version = 0] =
      numbers.subarray(index * numbersPerKey, (index + 1) * numbersPerKey);
    const valueAt = at + keyLength;
    const end = hasValues ? valueAt + valueLength : valueAt;
    const value = hasValues ? bytes.subarray(valueAt, end) : null;
    yield {
      key: bytes.subarray(at, valueAt),
      value,
      valueLength,
      createRevision,
      modRevision,
      version,
      lease,
    };
    at = end;
  }
}
