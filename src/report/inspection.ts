/** What `inspect` tells of a database. */
import { formatBytes, formatCount } from '../model/units.ts';

/** The facts as `src/bolt` reports them; of the same shape, since report stands below bolt. */
export interface Inspection {
  readonly size: number;
  readonly sha256: string | null;
  readonly trailer: string;
  readonly pageSize: number | null;
  readonly revision: number;
  readonly compactRevision: number;
  readonly hashKV: {
    readonly hash: number;
    readonly revision: number;
    readonly compactRevision: number;
  } | null;
  readonly hashKVReason: string | null;
  readonly keys: number;
  readonly rows: number;
  readonly leases: number;
  readonly authEnabled: boolean;
  readonly alarms: readonly { readonly member: string; readonly alarm: string }[];
  readonly members: readonly {
    readonly id: string;
    readonly name: string;
    readonly peerURLs: readonly string[];
  }[];
  readonly clusterVersion: string | null;
  readonly storageVersion: string | null;
  readonly problems: readonly { readonly page: number | null; readonly message: string }[];
  readonly problemCount: number;
}

/** Design section 6, `inspect`. */
export function inspectionJson(facts: Inspection): string {
  return JSON.stringify(facts, null, 2);
}

/** Two columns, the verdict first. */
export function inspectionText(facts: Inspection): string {
  const { hashKV } = facts;
  const isPast = hashKV !== null && hashKV.revision !== facts.revision;
  const at = isPast ? ` at revision ${formatCount(hashKV.revision)}` : '';
  const trailer = {
    ok: 'ok',
    missing: 'missing: this is no snapshot, or it was cut',
    bad: 'does not fit the bytes',
  };
  const rows: [string, string][] = [
    ['verdict', facts.problemCount === 0 ? 'sound' : `damaged: ${formatCount(facts.problemCount)} problems`],
    ['size', `${formatBytes(facts.size)} (${formatCount(facts.size)} bytes)`],
    ['etcd hash', trailer[facts.trailer as keyof typeof trailer] ?? facts.trailer],
    ['sha-256', facts.sha256 ?? 'not computed'],
    ['revision', formatCount(facts.revision)],
    ['compacted', facts.compactRevision < 0 ? 'never' : `to ${formatCount(facts.compactRevision)}`],
    [
      'HashKV',
      hashKV === null ? (facts.hashKVReason ?? 'none') : `${hashKV.hash} (0x${hex(hashKV.hash)})${at}`,
    ],
    ['keys', `${formatCount(facts.keys)} live${at}, in ${formatCount(facts.rows)} rows`],
    ['leases', formatCount(facts.leases)],
    ['auth', facts.authEnabled ? 'enabled' : 'off'],
    ['alarms', facts.alarms.map(({ member, alarm }) => `${alarm} on ${member}`).join(', ') || 'none'],
    ['members', facts.members.map(({ id, name }) => `${name || 'unnamed'} (${id})`).join(', ') || 'none'],
    [
      'versions',
      `cluster ${facts.clusterVersion ?? 'unknown'}, storage ${facts.storageVersion ?? 'not recorded'}`,
    ],
  ];
  const problems = facts.problems
    .slice(0, 10)
    .map(({ page, message }) => `  ${page === null ? 'file' : `page ${page}`}: ${message}`);
  const more =
    facts.problemCount > problems.length ? [`  and ${facts.problemCount - problems.length} more`] : [];
  return [...rows.map(([name, value]) => `${name.padEnd(10)} ${value}`), ...problems, ...more].join('\n');
}

function hex(hash: number): string {
  return hash.toString(16).padStart(8, '0');
}
