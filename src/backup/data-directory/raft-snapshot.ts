/** The raft snapshot of a new member: what `member/snap/<term>-<index>.snap` holds. */
import { crc32c } from '../../bolt/crc32c.ts';
import { goJson, raftAttributesJson } from './member-json.ts';
import { hexId, type Member, type Membership } from './membership.ts';
import { bytesField, message, numberField } from './protobuf.ts';
import type { EtcdMinor } from './version.ts';

/** What is written begins in the first term. */
export const firstTerm = 1;
/** How many events the old store remembers; those that never were are null. */
const eventSlots = 1_000;
/** The old store never let a key expire. */
const never = '0001-01-01T00:00:00Z';

/** `0000000000000001-0000000000000003.snap`: term and index, in hex. */
export function raftSnapshotName({ members }: Membership): string {
  const part = (value: number) => value.toString(16).padStart(16, '0');
  return `${part(firstTerm)}-${part(members.length)}.snap`;
}

/** Who votes, as raft keeps it: by ascending id. */
export function confStateOf({ members }: Membership): Uint8Array {
  return message(...members.map(({ id }) => numberField(1, id)), numberField(5, 0));
}

/** The content of the snapshot file, with its checksum. */
export function raftSnapshot(membership: Membership, version: EtcdMinor): Uint8Array {
  const metadata = message(
    bytesField(1, confStateOf(membership)),
    numberField(2, membership.members.length),
    numberField(3, firstTerm),
  );
  const store = Buffer.from(oldStore(membership, version));
  const snapshot = message(bytesField(1, store), bytesField(2, metadata));
  return message(numberField(1, crc32c(snapshot)), bytesField(2, snapshot));
}

interface Node {
  readonly Path: string;
  readonly CreatedIndex: number;
  readonly ModifiedIndex: number;
  readonly ExpireTime: string;
  readonly Value: string;
  readonly Children: Readonly<Record<string, Node>> | null;
}

/**
 * The store of etcd 2, in which 3.4 and 3.5 still look up members, as that version saves it. A version that no longer
 * does writes it all the same.
 */
function oldStore({ members }: Membership, { major, minor }: EtcdMinor): string {
  const count = members.length;
  const folder = (path: string, index: number, children: Node['Children']): Node => ({
    Path: path,
    CreatedIndex: index,
    ModifiedIndex: index,
    ExpireTime: never,
    Value: '',
    Children: children,
  });
  const entries = members.map((member, index): [string, Node] => {
    const path = `/0/members/${hexId(member.id)}`;
    const attributes = folder(`${path}/raftAttributes`, index + 1, null);
    const children = { raftAttributes: { ...attributes, Value: raftAttributesJson(member) } };
    return [hexId(member.id), folder(path, index + 1, children)];
  });
  // Go writes maps in the order of their keys as text.
  const sorted = Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
  const events = [...members.map(createdEvent), ...Array.from({ length: eventSlots - count }, () => null)];
  const zero = folder('/0', 0, { members: folder('/0/members', 1, sorted) });
  return goJson({
    Root: folder('/', 0, { 0: zero, 1: folder('/1', 0, {}) }),
    WatcherHub: {
      EventHistory: {
        Queue: { Events: events, Size: count, Front: 0, Back: count, Capacity: eventSlots },
        StartIndex: 1,
        LastIndex: count,
      },
    },
    CurrentIndex: count,
    // From 3.6 on the store is made for this alone, which looks up a key in it that is not there.
    Stats: {
      getsSuccess: 0,
      getsFail: major > 3 || minor >= 6 ? 1 : 0,
      setsSuccess: 0,
      setsFail: 0,
      deleteSuccess: 0,
      deleteFail: 0,
      updateSuccess: 0,
      updateFail: 0,
      createSuccess: count,
      createFail: 0,
      compareAndSwapSuccess: 0,
      compareAndSwapFail: 0,
      compareAndDeleteSuccess: 0,
      compareAndDeleteFail: 0,
      expireCount: 0,
      watchers: 0,
    },
    CurrentVersion: 2,
  });
}

function createdEvent(member: Member, index: number) {
  const key = `/0/members/${hexId(member.id)}/raftAttributes`;
  const value = raftAttributesJson(member);
  return { action: 'create', node: { key, value, modifiedIndex: index + 1, createdIndex: index + 1 } };
}
