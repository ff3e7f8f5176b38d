/**
 * A certificate for one server that lives for minutes: the same key is its authority, the server and its only client.
 *
 * Nobody else on the machine can then speak with that server, on its client port or its peer port. The name in it is
 * `root`: an etcd with authentication on takes the bearer of such a certificate for that user, whose password nobody
 * needs to know (reference "Maintenance.Snapshot").
 */
import { generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import { Secret } from '../../secrets/secret.ts';

export interface ScratchCertificate {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS #8. */
  readonly key: Secret;
}

/** Clocks of one machine do not differ; a margin for leap seconds and steps of NTP. */
const beforeMs = 3_600_000;
const validMs = 30 * 86_400_000;

export function makeCertificate(now: Date = new Date()): ScratchCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const algorithm = sequence(oid(ecdsaWithSha256));
  const name = sequence(set(sequence(oid(commonName), utf8('root'))));
  const [from, until] = [-beforeMs, validMs].map((ms) => utcTime(new Date(now.getTime() + ms)));
  const tbs = sequence(
    tagged(0, integer(Uint8Array.of(2))),
    // Positive, and not longer than 20 bytes (RFC 5280, 4.1.2.2).
    integer(Buffer.concat([Uint8Array.of(1), randomBytes(15)])),
    algorithm,
    name,
    sequence(from as Buffer, until as Buffer),
    name,
    spki,
    tagged(3, sequence(...extensions())),
  );
  const signature = sign('sha256', tbs, privateKey);
  const der = sequence(tbs, algorithm, tlv(0x03, Buffer.concat([Uint8Array.of(0), signature])));
  return {
    certificate: new X509Certificate(der).toString(),
    key: new Secret(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
  };
}

const ecdsaWithSha256 = '2a8648ce3d040302';
const commonName = '550403';
const [basicConstraints, subjectAltName, extendedKeyUsage] = ['551d13', '551d11', '551d25'];
const [serverAuth, clientAuth] = ['2b06010505070301', '2b06010505070302'];

function extensions(): Buffer[] {
  const extension = (id: string, value: Buffer) => sequence(oid(id), tlv(0x04, value));
  const dnsName = tlv(0x82, Buffer.from('localhost'));
  const address = tlv(0x87, Uint8Array.of(127, 0, 0, 1));
  return [
    extension(basicConstraints, sequence(tlv(0x01, Uint8Array.of(0xff)))),
    extension(extendedKeyUsage, sequence(oid(serverAuth), oid(clientAuth))),
    extension(subjectAltName, sequence(dnsName, address)),
  ];
}

// DER, as far as one certificate needs it (ITU-T X.690).

function tlv(tag: number, content: Uint8Array): Buffer {
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Uint8Array.of(tag, ...size), content]);
}

function sequence(...parts: readonly Uint8Array[]): Buffer {
  return tlv(0x30, Buffer.concat(parts));
}

function set(...parts: readonly Uint8Array[]): Buffer {
  return tlv(0x31, Buffer.concat(parts));
}

function tagged(number: number, content: Uint8Array): Buffer {
  return tlv(0xa0 | number, content);
}

function integer(bytes: Uint8Array): Buffer {
  return tlv(0x02, bytes);
}

/** @param encoded the content of the object identifier, as hex */
function oid(encoded: string): Buffer {
  return tlv(0x06, Buffer.from(encoded, 'hex'));
}

function utf8(text: string): Buffer {
  return tlv(0x0c, Buffer.from(text));
}

/** Two digits of the year: good until 2049. */
function utcTime(time: Date): Buffer {
  const digits = time.toISOString().replace(/[-:T]/g, '').slice(2, 14);
  return tlv(0x17, Buffer.from(`${digits}Z`));
}
