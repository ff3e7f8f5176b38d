/** Raw keys of Curve25519 by node:crypto, which wants them wrapped as RFC 8410 says. */
import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto';

type Curve = 'ed25519' | 'x25519';

/** Object identifiers 1.3.101.110 and .112 as their last byte. */
const identifiers: Readonly<Record<Curve, number>> = { x25519: 0x6e, ed25519: 0x70 };

function privateKey(raw: Buffer, curve: Curve): KeyObject {
  const head = Buffer.from('302e020100300506032b6500042204', 'hex');
  head[11] = identifiers[curve];
  return createPrivateKey({
    key: Buffer.concat([head, Buffer.from([0x20]), raw]),
    format: 'der',
    type: 'pkcs8',
  });
}

/** The public half of a raw private key, raw. */
export function publicHalf(raw: Buffer, curve: Curve): Buffer {
  const { x = '' } = createPublicKey(privateKey(raw, curve)).export({ format: 'jwk' });
  return Buffer.from(x, 'base64url');
}

/** X25519 of RFC 7748. Throws for a point of small order. */
export function x25519(scalar: Buffer, point: Buffer): Buffer {
  const head = Buffer.from('302a300506032b656e032100', 'hex');
  const publicKey = createPublicKey({ key: Buffer.concat([head, point]), format: 'der', type: 'spki' });
  return diffieHellman({ privateKey: privateKey(scalar, 'x25519'), publicKey });
}
