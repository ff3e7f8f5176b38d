/** What is said about a destination must be usable, and no two may share objects. */
import { X509Certificate } from 'node:crypto';
import { placeOf } from '../../model/place.ts';
import { formatTime } from '../../model/units.ts';
import { byName } from '../resolve.ts';
import { quoted } from '../words.ts';
import { placeField } from './buckets.ts';
import type { Finding, Rule, SourcedDestination } from './context.ts';
import { endpointProblem } from './urls.ts';

/** A certificate that ends sooner than this is worth a warning. */
const certificateNoticeMs = 30 * 86_400_000;

export const storeEndpointsAreUrls: Rule = ({ destinations, report }) => {
  for (const { object, written, source, spec } of destinations) {
    if (object.provider === 'filesystem' || object.endpoint === null) continue;
    const pointer = `${spec}/endpoint`;
    const problem = endpointProblem(object.endpoint);
    if (problem !== null) {
      report(source, pointer, {
        code: 'bad-endpoint',
        message: `\`endpoint\` ${problem}`,
        hint: 'for example `https://minio.example:9000`',
      });
    }
    if (object.provider !== 's3' || 'forcePathStyle' in written.spec) continue;
    report(source, pointer, {
      code: 'endpoint-without-path-style',
      severity: 'warning',
      place: 'key',
      message: '`endpoint` without `forcePathStyle`: the bucket will be looked for as a host name',
      hint: 'most stores other than AWS want `forcePathStyle: true`; write `false` where yours does not',
    });
  }
};

/** One way to sign in. The role to assume comes on top of either. */
export const oneWayToSignIn: Rule = ({ destinations, credentials, report }) => {
  const defined = byName(credentials.map(({ object }) => object));
  for (const { object, written, source, spec } of destinations) {
    if (object.useInstanceRole && object.credential !== null) {
      report(source, `${spec}/useInstanceRole`, {
        code: 'instance-role-with-credential',
        place: 'key',
        message: '`useInstanceRole` and `credential` are both there: it would not be clear which one counts',
        hint: 'remove one of both',
      });
    }
    if (object.provider !== 'azure') continue;
    const credential = defined.get(object.credential ?? '');
    if (credential?.dataKeys.includes('clientSecret') !== true) continue;
    const missing = (['tenantId', 'clientId'] as const).filter((field) => object[field] === null);
    if (missing.length === 0) continue;
    report(source, 'credential' in written.spec ? `${spec}/credential` : spec, {
      code: 'missing-field',
      message: `credential ${quoted(credential.name)} has a client secret, and ${missing.map(quoted).join(' and ')} ${missing.length === 1 ? 'is' : 'are'} missing in the Destination`,
      hint: 'a client secret signs in to a tenant as an application',
    });
  }
};

export const certificatesAreReadable: Rule = ({ destinations, now, report }) => {
  for (const { object, source, spec } of destinations) {
    if (!('caCertificate' in object) || object.caCertificate === null) continue;
    const finding = certificateFinding(object.caCertificate, now);
    if (finding !== null) report(source, `${spec}/caCertificate`, finding);
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
  report(at.source, `${at.spec}/${placeField(at)}`, {
    code: 'overlapping-destinations',
    message: `this ${relation} the place of destination ${name}: retention of one would count the other's backups`,
    hint: `give each a prefix or path of its own; ${name} is in ${file}:${line}`,
  });
}
