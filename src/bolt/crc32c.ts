/** CRC-32C, and the arithmetic that joins the checksums of two stretches without their bytes. */
import { crc32c as native } from '@node-rs/crc32';

/** The reversed Castagnoli polynomial. */
const polynomial = 0x82f63b78;
/** The polynomial 1, in reversed bit order. */
const one = 0x8000_0000;

/** CRC-32C of `bytes`, going on from the checksum `previous` of what came before. */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  return native(bytes, previous);
}

/** Product of two polynomials over GF(2), modulo the CRC's. */
function multiply(a: number, b: number): number {
  let product = 0;
  let shifted = b;
  for (let bit = one; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= shifted;
    shifted = (shifted & 1) !== 0 ? (shifted >>> 1) ^ polynomial : shifted >>> 1;
  }
  return product >>> 0;
}

/** x^(8 * 2^n): what 2^n bytes of zeros do to a checksum. Enough for any file's length. */
const powers: readonly number[] = (() => {
  let power = one >>> 8;
  const list: number[] = [];
  for (let n = 0; n < 53; n += 1) {
    list.push(power);
    power = multiply(power, power);
  }
  return list;
})();

/** The checksum of A followed by B, from the checksum of each and the length of B in bytes. */
export function joinCrc32c(a: number, b: number, lengthOfB: number): number {
  let shifted = a;
  let rest = lengthOfB;
  for (const power of powers) {
    if (rest === 0) break;
    if (rest % 2 === 1) shifted = multiply(power, shifted);
    rest = Math.floor(rest / 2);
  }
  return (shifted ^ b) >>> 0;
}
