/** What is said about a destination must be usable, and no two may share objects. */
import { X509Certificate } from 'node:crypto';
import type { Destination } from '../../model/config.ts';
import { formatTime } from '../../model/units.ts';
import { quoted } from '../words.ts';
import type { Finding, Rule, SourcedDestination } from './context.ts';
import { endpointProblem, sameServerKey } from './urls.ts';

/** A certificate that ends sooner than this is worth a warning. */
const certificateNoticeMs = 30 * 86_400_000;

export const storeEndpointsAreUrls: Rule = ({ destinations, report }) => {
  for (const { object, written, source } of destinations) {
    if (object.provider !== 's3' || object.endpoint === null) continue;
    const problem = endpointProblem(object.endpoint);
    if (problem !== null) {
      report(source, '/spec/endpoint', {
        code: 'bad-endpoint',
        message: `\`endpoint\` ${problem}`,
        hint: 'for example `https://minio.example:9000`',
      });
    }
    if ('forcePathStyle' in written.spec) continue;
    report(source, '/spec/endpoint', {
      code: 'endpoint-without-path-style',
      severity: 'warning',
      place: 'key',
      message: '`endpoint` without `forcePathStyle`: the bucket will be looked for as a host name',
      hint: 'most stores other than AWS want `forcePathStyle: true`; write `false` where yours does not',
    });
  }
};

export const certificatesAreReadable: Rule = ({ destinations, now, report }) => {
  for (const { object, source } of destinations) {
    if (object.provider !== 's3' || object.caCertificate === null) continue;
    const finding = certificateFinding(object.caCertificate, now);
    if (finding !== null) report(source, '/spec/caCertificate', finding);
  }
};

function certificateFinding(pem: string, now: Date): Finding | null {
  if (pem.includes('PRIVATE KEY')) {
    return {
      code: 'bad-certificate',
      message: '`caCertificate` holds a private key: it is known to everybody who can read this file',
      hint: 'only the certificate of the authority belongs here; replace that key',
    };
  }
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  const begun = pem.split('-----BEGIN').length - 1;
  const certificates = blocks.map(readCertificate);
  if (blocks.length === 0 || blocks.length !== begun || certificates.includes(null)) {
    return {
      code: 'bad-certificate',
      message: '`caCertificate` is no certificate in PEM',
      hint: 'use `|` and indent every line of it, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----',
    };
  }
  const ends = certificates.map((certificate) => new Date(certificate?.validTo ?? Number.NaN).getTime());
  const end = Math.min(...ends);
  if (end - now.getTime() > certificateNoticeMs) return null;
  const verb = end <= now.getTime() ? 'ended' : 'ends';
  return {
    code: 'certificate-ends',
    severity: 'warning',
    message: `a certificate in \`caCertificate\` ${verb} at ${formatTime(new Date(end))}`,
    hint: 'put the new one beside it',
  };
}

function readCertificate(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem);
  } catch {
    return null;
  }
}

/** Two destinations in the same place, or one inside the other, would remove each other's backups. */
export const destinationsDoNotOverlap: Rule = ({ destinations, report }) => {
  const places = new Map<string, { root: string; sourced: SourcedDestination }[]>();
  for (const sourced of destinations) {
    const { server, root } = placeOf(sourced.object);
    places.set(server, [...(places.get(server) ?? []), { root, sourced }]);
  }
  for (const group of places.values()) {
    group.sort((a, b) => (a.root < b.root ? -1 : a.root > b.root ? 1 : 0));
    // Sorted, everything inside a root follows it at once; so does an equal one.
    let outer = group[0];
    for (const inner of group.slice(1)) {
      if (outer !== undefined && inner.root.startsWith(outer.root)) {
        reportOverlap(report, inner.sourced, outer.sourced, inner.root === outer.root ? 'is' : 'lies inside');
        reportOverlap(report, outer.sourced, inner.sourced, inner.root === outer.root ? 'is' : 'contains');
      } else outer = inner;
    }
  }
};

/** On both, since either one may be what a seed uses. */
function reportOverlap(
  report: Parameters<Rule>[0]['report'],
  at: SourcedDestination,
  other: SourcedDestination,
  relation: 'is' | 'lies inside' | 'contains',
): void {
  const { file, line } = other.object.position;
  const name = quoted(other.object.name);
  report(at.source, at.object.provider === 's3' ? '/spec/bucket' : '/spec/path', {
    code: 'overlapping-destinations',
    message: `this ${relation} the place of destination ${name}: retention of one would count the other's backups`,
    hint: `give each a prefix or path of its own; ${name} is in ${file}:${line}`,
  });
}

function placeOf(destination: Destination): { server: string; root: string } {
  if (destination.provider === 'filesystem') {
    return { server: 'filesystem', root: `${destination.path}/`.replace('//', '/') };
  }
  const { endpoint, bucket, prefix } = destination;
  // Names of buckets are unique over all regions of AWS.
  const server = `s3 ${endpoint === null ? 'aws' : sameServerKey(endpoint)} ${bucket}`;
  return { server, root: prefix === '' ? '' : `${prefix}/` };
}
