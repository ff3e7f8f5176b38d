/** What a restore says: what was found, what was written, and the next commands to run. */
import { isIP } from 'node:net';
import {
  hexId,
  initialClusterOf,
  type Member,
  type Membership,
} from '../backup/data-directory/membership.ts';
import { defaultQuota, kubernetesBump, suggestedQuota } from '../backup/preflight.ts';
import type { Restored } from '../backup/restore.ts';
import type { FoundBackup } from '../catalog/find.ts';
import { clockToleranceMs } from '../model/clocks.ts';
import { withoutDestination } from '../model/errors.ts';
import type { ProofSummary } from '../model/inventory.ts';
import { formatBackupRef } from '../model/names.ts';
import { commandLine } from '../model/shell.ts';
import { formatAge, formatBytes, formatDuration, formatTime } from '../model/units.ts';
import type { Io } from './io.ts';

/** What was restored: one that was found, by the name it is found by again, or a snapshot file. */
export type RestoredFrom = (FoundBackup & { readonly lastingName: string }) | { readonly file: string };

export interface RestoredHow {
  readonly from: RestoredFrom;
  readonly to: RestoredTo;
  /** The options that it was restored with, as words of a command line. */
  readonly given: readonly string[];
  readonly elapsedMs: number;
}

/** Where it is now. */
export type RestoredTo =
  | { readonly type: 'file'; readonly path: string }
  | { readonly type: 'stream' }
  | {
      readonly type: 'directory';
      readonly path: string;
      readonly membership: Membership;
      /** Bytes, as etcd will be started with. */
      readonly quota: number;
    };

/** Which backup it is, why not another, and what speaks against it. */
export function tellFound(io: Io, found: FoundBackup): void {
  const { manifest } = found;
  for (const { backup, reason } of found.passedOver) io.err(`passed over ${backup}: ${reason}`);
  for (const { destination, error } of found.unread) {
    const why = withoutDestination(destination, error.message);
    io.warn(`${destination} could not be read and may hold newer backups: ${why}`);
  }
  for (const doubt of found.doubts) io.warn(doubt);
  // What speaks against every copy is among the doubts about the backup.
  const isSound = found.copies.some(({ doubts }) => doubts.length === 0);
  for (const { destination, doubts } of found.copies) {
    if (isSound && doubts.length > 0)
      io.warn(`the copy on ${destination} is tried last: ${doubts.join('; ')}`);
  }
  const ended = new Date(manifest.finishedAt);
  const verdict = {
    equal: "equal to the live member's hash",
    unverifiable: 'not comparable with the live member when it was made',
    off: 'made without comparing hashes',
  }[manifest.hashKV.verdict];
  const where = found.copies.map(({ destination }) => destination).join(', ');
  const age = ageOf(ended);
  io.err(
    `found      ${formatBackupRef(found)}, ended ${formatTime(ended)} (${age}), ${verdict}, on ${where}${lastProof(found)}`,
  );
}

/** A clock that is a little ahead counts as now. */
function ageOf(ended: Date): string {
  const ahead = ended.getTime() - Date.now();
  return ahead < clockToleranceMs
    ? formatAge(-ahead)
    : `${formatDuration(ahead)} ahead of the clock of this machine`;
}

/**
 * The last drill of the cluster, and of which backup that was; without any, when this one was last read back. What a
 * backup is born with says nothing of where it lies now.
 */
function lastProof({ copies, lastDrill, policy, slot }: FoundBackup): string {
  if (lastDrill !== null) {
    const isThis = lastDrill.policy === policy && lastDrill.slot === slot;
    const which = isThis ? '' : `, of ${lastDrill.policy}/${lastDrill.slot}`;
    return `; last drill ${formatAge(Date.now() - Date.parse(lastDrill.time))}${which}`;
  }
  const proofs = copies.flatMap(({ copy }) => copy.proofs.filter(({ kind, ok }) => ok && kind === 'read'));
  const [newest] = proofs.toSorted((a: ProofSummary, b: ProofSummary) => (a.time < b.time ? 1 : -1));
  if (newest === undefined) return '';
  return `; last read back ${formatAge(Date.now() - Date.parse(newest.time))}`;
}

/** How it went. The commands are for stdout, which holds nothing else, or the snapshot itself. */
export function tellRestored(io: Io, restored: Restored, how: RestoredHow): void {
  const { report, bytes, destination } = restored;
  const { from, to, elapsedMs } = how;
  const size = formatBytes(bytes);
  const took = formatDuration(elapsedMs);
  if ('file' in from) {
    const hash =
      report.trailer === 'ok' ? "etcd's own hash and the structure are right" : 'the structure is sound';
    io.err(`read       ${size} from ${from.file} in ${took}, ${hash}`);
  } else {
    const hash = from.manifest.hashKV.hash === null ? 'SHA-256' : 'SHA-256 and HashKV';
    io.err(`read       ${size} from ${destination} in ${took}, ${hash} as written in the manifest`);
  }
  for (const { message } of restored.notes) io.err(`note       ${message}`);
  const out = to.type === 'stream' ? io.err : io.out;
  out(`written    ${whereTo(to)}`);
  const [first, ...others] = nextCommands(restored, how);
  if (first !== undefined) out(`next       ${first}`);
  if (to.type === 'directory')
    io.err('           with the client, listen and TLS flags that the member had before');
  for (const command of others) out(`others     ${command}`);
  if (to.type === 'directory' && !('file' in from)) {
    const cluster = `${from.seed}/${from.cluster}`;
    io.err(
      `afterwards \`granary backup ${cluster}\`, then \`granary accept ${cluster}\`: it is another cluster now, and meant to be`,
    );
  }
}

function whereTo(to: RestoredTo): string {
  if (to.type !== 'directory') return to.type === 'stream' ? 'stdout' : to.path;
  const { self, members, clusterId } = to.membership;
  return `${to.path}, member ${self.name} (${hexId(self.id)}) of ${members.length}, cluster id ${hexId(clusterId)}`;
}

/** What to run now, each as it can be pasted into a shell. */
export function nextCommands({ report }: Restored, { from, to, given }: RestoredHow): string[] {
  if (to.type === 'stream') return [];
  if (to.type === 'file') {
    const bump = report.survey?.kubernetes
      ? ['--bump-revision', `${kubernetesBump}`, '--mark-compacted']
      : [];
    return [commandLine('etcdutl', 'snapshot', 'restore', to.path, '--data-dir', 'NEW-DATA-DIR', ...bump)];
  }
  const { membership, path } = to;
  const needed = report.size < to.quota * 0.8 ? to.quota : suggestedQuota(report.size);
  const quota = needed === defaultQuota ? [] : ['--quota-backend-bytes', `${needed}`];
  const { self, members, token } = membership;
  const cluster = ['--initial-cluster', initialClusterOf(membership), '--initial-cluster-token', token];
  const urls = self.peerUrls.join(',');
  const start = commandLine(
    ...['etcd', '--data-dir', path, '--name', self.name, ...cluster],
    ...['--initial-advertise-peer-urls', urls, '--listen-peer-urls', listenUrls(self), ...quota],
  );
  // By its full name: on another machine, a little later, another backup may be the newest.
  const what = 'file' in from ? [] : [from.lastingName];
  const others = members
    .filter(({ id }) => id !== self.id)
    .map(({ name }) =>
      commandLine('granary', 'restore', ...what, ...given, '--data-dir', path, '--name', name),
    );
  return [start, ...others];
}

/** etcd listens on addresses, and on no name but this one. */
function listenUrls({ peerUrls }: Member): string {
  const urls = peerUrls.map((text) => {
    const [, scheme = '', host = '', port = ''] = /^(https?):\/\/\[?(.*?)\]?:(\d+)$/.exec(text) ?? [];
    return host === 'localhost' || isIP(host) !== 0 ? text : `${scheme}://0.0.0.0:${port}`;
  });
  return [...new Set(urls)].join(',');
}

export function restoredJson(restored: Restored, how: RestoredHow) {
  const { from, to } = how;
  const { report, bytes, destination, notes, bumpedTo, failed } = restored;
  const origin =
    'file' in from
      ? { snapshot: from.file }
      : { id: formatBackupRef(from), attempt: from.attempt, passedOver: from.passedOver };
  const target =
    to.type === 'directory'
      ? {
          dataDir: to.path,
          bumpedTo,
          clusterId: hexId(to.membership.clusterId),
          member: { name: to.membership.self.name, id: hexId(to.membership.self.id) },
        }
      : to.type === 'file'
        ? { file: to.path }
        : {};
  return {
    ...origin,
    destination,
    ...target,
    bytes,
    revision: report.revision,
    keys: report.keys,
    hashKV: report.hashKV,
    notes,
    next: nextCommands(restored, how),
    failed: failed.map(({ destination: name, error }) => ({
      destination: name,
      code: error.code,
      message: error.message,
    })),
  };
}
