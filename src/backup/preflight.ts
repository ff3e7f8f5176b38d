/** What must be known before a snapshot becomes a cluster: what stands in the way, and what to expect. Pure. */
import type { DatabaseReport } from '../bolt/report.ts';
import { GranaryError } from '../model/errors.ts';
import { formatBytes, formatCount } from '../model/units.ts';
import {
  compareEtcdVersions,
  type EtcdMinor,
  formatEtcdVersion,
  parseEtcdVersion,
} from './data-directory/version.ts';

/** One thing to know, by a stable name, in words that say why. */
export interface Note {
  readonly code: 'alarm' | 'auth' | 'bump' | 'encryption' | 'kubernetes' | 'leases' | 'quota' | 'version';
  readonly message: string;
}

/** etcd's own, where `--quota-backend-bytes` is not given. */
export const defaultQuota = 2 * 2 ** 30;
/** What Kubernetes' watchers need, so that no revision they have seen comes again (kubernetes #118501, etcd #16028). */
export const kubernetesBump = 1_000_000_000;

/** How far revisions go up: `auto` is by `kubernetesBump` where the content is Kubernetes', else not at all. */
export type Bump = number | 'auto' | 'off';

/**
 * The etcd that will run on the data: the one that is given, else the one that the backup is of, else the oldest that
 * can read it.
 * @param source version of the server that the snapshot is of; null where nobody recorded it
 * @param facts of the data
 * @throws GranaryError `etcd-too-old` where the data are of a newer etcd than is given
 */
export function targetVersion(
  given: EtcdMinor | null,
  source: string | null,
  facts: Pick<DatabaseReport, 'clusterVersion' | 'storageVersion'>,
): EtcdMinor {
  const written = [facts.clusterVersion, facts.storageVersion]
    .flatMap((text) => parseEtcdVersion(text ?? '') ?? [])
    .toSorted(compareEtcdVersions)
    .at(-1);
  const recorded = parseEtcdVersion(source ?? '');
  const target = given ?? recorded ?? written ?? { major: 3, minor: 5 };
  const needed = written ?? recorded;
  if (needed === undefined || compareEtcdVersions(target, needed) >= 0) return target;
  throw tooOld(target, needed);
}

/**
 * The same, before anything is read: a server may be ahead of its cluster by one minor version, in an upgrade, and the
 * data are the cluster's.
 * @throws GranaryError `etcd-too-old` where the data cannot be for the etcd that is given
 */
export function requireNotTooOld(given: EtcdMinor | null, source: string): void {
  const recorded = parseEtcdVersion(source);
  if (given === null || recorded === undefined) return;
  const least = { ...recorded, minor: Math.max(0, recorded.minor - 1) };
  if (compareEtcdVersions(given, least) < 0) throw tooOld(given, recorded);
}

function tooOld(target: EtcdMinor, needed: EtcdMinor): GranaryError {
  return new GranaryError(
    'etcd-too-old',
    `etcd ${formatEtcdVersion(target)} cannot take over the data of etcd ${formatEtcdVersion(needed)}`,
    {
      hint: `restore to etcd ${formatEtcdVersion(needed)} or later; a cluster is downgraded while it runs, not by a restore`,
      context: { target: formatEtcdVersion(target), needed: formatEtcdVersion(needed) },
    },
  );
}

/** The revision that the store begins anew at; null: it goes on where the snapshot ends. */
export function bumpTarget(report: DatabaseReport, bump: Bump): number | null {
  const by = bump === 'auto' ? (report.survey?.kubernetes ? kubernetesBump : 0) : bump === 'off' ? 0 : bump;
  return by === 0 ? null : report.revision + by;
}

export interface NotesOptions {
  readonly bump: Bump;
  /** Bytes. */
  readonly quota: number;
  /** null: it becomes a file, and somebody else makes a cluster of it. */
  readonly version: EtcdMinor | null;
}

/** All that is worth telling of a sound database that was surveyed. */
export function notesAbout(report: DatabaseReport, options: NotesOptions): Note[] {
  return [
    ...versionNotes(report, options),
    ...kubernetesNotes(report, options),
    ...encryptionNotes(report),
    ...quotaNotes(report, options),
    ...alarmNotes(report),
    ...leaseNotes(report),
    ...authNotes(report),
  ];
}

function versionNotes({ clusterVersion }: DatabaseReport, { version }: NotesOptions): Note[] {
  const left = parseEtcdVersion(clusterVersion ?? '');
  if (version === null || left === undefined || compareEtcdVersions(left, version) === 0) return [];
  const [from, to] = [left, version].map(formatEtcdVersion);
  const message = `the data are of a cluster at version ${from} and etcd ${to} is to run on them: it upgrades them when it starts, and ${from} cannot read them after that`;
  return [{ code: 'version', message }];
}

function kubernetesNotes(report: DatabaseReport, { bump, version }: NotesOptions): Note[] {
  const to = bumpTarget(report, bump);
  if (!report.survey?.kubernetes) {
    if (to === null || version === null) return [];
    return [{ code: 'bump', message: `${goUp(to - report.revision)} (--bump-revision)` }];
  }
  if (to !== null && version !== null)
    return [
      {
        code: 'kubernetes',
        message: `a Kubernetes cluster: ${goUp(to - report.revision)}, so that watchers start anew (--no-bump leaves them)`,
      },
    ];
  return [
    {
      code: 'kubernetes',
      message:
        'a Kubernetes cluster, and revisions are left as they are: controllers that have seen later ones may act on what they remember; restart them all, the API servers first',
    },
  ];
}

function goUp(by: number): string {
  return `revisions go up by ${formatCount(by)} and older ones are marked compacted`;
}

function encryptionNotes({ survey }: DatabaseReport): Note[] {
  return (survey?.encryptedWith ?? []).map(({ provider, key, rows }) => ({
    code: 'encryption',
    message: `${formatCount(rows)} values are encrypted by Kubernetes, provider ${provider}, key ${key}: you also need that key in the encryption configuration of the API servers, else nobody can read them`,
  }));
}

function quotaNotes({ size }: DatabaseReport, { quota }: NotesOptions): Note[] {
  if (size < quota * 0.8) return [];
  const how = size > quota ? 'is larger than' : 'comes close to';
  const message = `the database (${formatBytes(size)}) ${how} the quota of ${formatBytes(quota)}: etcd would ${size > quota ? 'refuse' : 'soon refuse'} writes; start it with --quota-backend-bytes ${suggestedQuota(size)}`;
  return [{ code: 'quota', message }];
}

/** Whole GiB with room for half as much again. */
export function suggestedQuota(size: number): number {
  return Math.ceil((size * 1.5) / 2 ** 30) * 2 ** 30;
}

function alarmNotes({ alarms }: DatabaseReport): Note[] {
  return [...new Set(alarms.map(({ alarm }) => alarm))].map((alarm) => ({
    code: 'alarm',
    message:
      alarm === 'NOSPACE'
        ? 'the alarm NOSPACE is in the snapshot and stays: the cluster refuses writes until `etcdctl alarm disarm`; give it a larger quota first'
        : `the alarm ${alarm} is in the snapshot and stays: a member was found to differ from the others; \`etcdctl alarm disarm\` only after that is understood`,
  }));
}

function leaseNotes({ survey }: DatabaseReport): Note[] {
  if (survey === undefined || survey.leases.total === 0) return [];
  const { total, withinMinute, shortest } = survey.leases;
  const all = `${formatCount(total)} ${total === 1 ? 'lease starts' : 'leases start'} anew with the cluster`;
  const [their, them, end] = withinMinute === 1 ? ['its', 'it', 'ends'] : ['their', 'them', 'end'];
  const soon =
    withinMinute === 0
      ? `the shortest lasts ${formatCount(shortest ?? 0)} s`
      : `${formatCount(withinMinute)} ${end} within a minute, and ${their} keys with ${them}, unless a client renews ${them}`;
  return [{ code: 'leases', message: `${all}; ${soon}` }];
}

function authNotes({ authEnabled, survey }: DatabaseReport): Note[] {
  const users = survey?.users ?? [];
  if (users.length === 0 && !authEnabled) return [];
  const who =
    users.length === 0
      ? 'no user'
      : `the ${users.length === 1 ? 'user' : 'users'} ${users.slice(0, 10).join(', ')}${users.length > 10 ? ` and ${users.length - 10} more` : ''}`;
  return [
    {
      code: 'auth',
      message: `authentication is ${authEnabled ? 'on' : 'off'}, with ${who}: passwords are those of the time of the backup`,
    },
  ];
}
