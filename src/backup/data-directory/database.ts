/** What the database of a restored member says otherwise than the snapshot: whose it is, and where raft stands. */
import { readRows } from '../../bolt/read-rows.ts';
import { type BucketChanges, changeBuckets, type Row } from '../../bolt/rewrite.ts';
import { revisionKeyBytes } from '../../bolt/rows.ts';
import { memberJson } from './member-json.ts';
import { hexId, type Membership } from './membership.ts';
import { firstTerm } from './raft-snapshot.ts';
import { type EtcdMinor, knowsConfState } from './version.ts';

export interface DatabaseOptions {
  readonly membership: Membership;
  readonly version: EtcdMinor;
  /** The revision that all changes so far count as compacted at, and the next one goes after; null: as it is. */
  readonly bumpTo: number | null;
}

/**
 * Makes the database of a snapshot that of a member: members and who votes are the new ones, and an upgrade or downgrade
 * that was under way is forgotten. Keys, leases, alarms, users and roles stay.
 *
 * With a bump the store begins at a revision that no client has seen: a row without key or value stands there, and all
 * before it counts as compacted, so that watchers start anew (kubernetes #118501, etcd #16028).
 * @param fd of a sound database without trailer, of `body` bytes
 * @returns its bytes afterwards
 */
export function makeMemberDatabase(fd: number, body: number, options: DatabaseOptions): number {
  const { membership, version, bumpTo } = options;
  const members = membership.members.map((member) => row(hexId(member.id), Buffer.from(memberJson(member))));
  const meta = changed(readRows(fd, body, 'meta'), {
    consistent_index: u64(membership.members.length),
    // What an older server wrote would name members that are gone. Reference "Restore": etcdutl leaves it.
    term: knowsConfState(version) ? u64(firstTerm) : null,
    confState: knowsConfState(version) ? Buffer.from(votersJson(membership)) : null,
    ...(bumpTo !== null && { scheduledCompactRev: revisionKeyBytes(bumpTo) }),
  });
  const cluster = changed(readRows(fd, body, 'cluster'), { downgrade: null });
  const changes: BucketChanges = {
    replaced: new Map([
      ['cluster', cluster],
      ['members', members],
      ['members_removed', []],
      ['meta', meta],
    ]),
    appended:
      bumpTo === null
        ? null
        : { bucket: 'key', row: { key: revisionKeyBytes(bumpTo), value: new Uint8Array() } },
  };
  return changeBuckets(fd, body, changes);
}

/** The rows with these values; null: without that row. */
function changed(rows: readonly Row[], values: Readonly<Record<string, Uint8Array | null>>): Row[] {
  const kept = rows.filter(({ key }) => !(Buffer.from(key).toString('latin1') in values));
  const added = Object.entries(values).flatMap(([name, value]) => (value === null ? [] : [row(name, value)]));
  return [...kept, ...added];
}

function votersJson({ members }: Membership): string {
  return `{"voters":[${members.map(({ id }) => id).join(',')}],"auto_leave":false}`;
}

function row(name: string, value: Uint8Array): Row {
  return { key: Buffer.from(name), value };
}

function u64(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}
