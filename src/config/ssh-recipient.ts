/**
 * SSH keys of type ed25519 as age recipients: their public half, as text and as a point of the curve. Facts: RFC 8709
 * for the blob, RFC 8032 (section 5.1) for the curve, RFC 7748 (section 4.1) for the map to Curve25519.
 */

export const sshKeyType = 'ssh-ed25519';

/** An ed25519 key as it stands in a public key file, without its comment: the one way to write a recipient. */
export function sshRecipientOf(publicKey: Uint8Array): string {
  return `${sshKeyType} ${sshBlobOf(publicKey).toString('base64')}`;
}

/**
 * A recipient as people and sops write it, `ssh-ed25519 AAAA… comment`, without the comment; null where it is no sound
 * ed25519 key. The comment is free text that says nothing about who can read.
 */
export function normalizeSshRecipient(text: string): string | null {
  const match = /^ssh-ed25519 ([A-Za-z0-9+/]{68})(?: [^\r\n]*)?$/.exec(text);
  const blob = Buffer.from(match?.[1] ?? '', 'base64');
  const recipient = sshRecipientOf(blob.subarray(-32));
  return recipient === `${sshKeyType} ${match?.[1]}` ? recipient : null;
}

/** What SSH sends and hashes of a public key: its type, then its 32 bytes, each with its length. */
export function sshBlobOf(publicKey: Uint8Array): Buffer {
  const field = (bytes: Uint8Array) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  return Buffer.concat([field(Buffer.from(sshKeyType)), field(publicKey)]);
}

/** The same of a recipient that `normalizeSshRecipient` gave. */
export function blobOfSshRecipient(recipient: string): Buffer {
  return Buffer.from(recipient.split(' ')[1] ?? '', 'base64');
}

const p = 2n ** 255n - 19n;
const d = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;

/**
 * A recipient's key as a key of X25519, for which age encrypts; null where it is no point of the curve, as half of all
 * mistyped keys are: nobody could open what is encrypted for such a one, and an SSH key has no checksum of its own.
 * @param recipient as `normalizeSshRecipient` gives it
 */
export function x25519OfSshRecipient(recipient: string): Buffer | null {
  const bytes = Buffer.from(blobOfSshRecipient(recipient).subarray(-32)).reverse();
  bytes[0] = (bytes[0] ?? 0) & 0x7f; // the sign of x
  const y = BigInt(`0x${bytes.toString('hex')}`);
  const square = y * y;
  // x² = (y² - 1) / (d y² + 1), so the product of both is a square, unless it is nothing: then the order is small.
  const product = (square - 1n) * (d * square + 1n);
  if (y >= p || power(product, (p - 1n) / 2n) !== 1n) return null;
  const u = modulo((1n + y) * power(1n - y, p - 2n));
  return Buffer.from(u.toString(16).padStart(64, '0'), 'hex').reverse();
}

function modulo(value: bigint): bigint {
  return ((value % p) + p) % p;
}

/** Modulo p. All of this is public: nothing has to take the same time. */
function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let square = modulo(base), rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % p;
    square = (square * square) % p;
  }
  return result;
}
