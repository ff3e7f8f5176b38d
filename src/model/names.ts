/** Names that must not be confused with one another, and the moments and ids that stand in object names. */

declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** A scheduled moment in UTC, `20261121T030000Z`. */
export type Slot = Brand<string, 'Slot'>;
/** One try to fulfil a slot: a ULID, upper case. */
export type Attempt = Brand<string, 'Attempt'>;
/** The full id of a commit. */
export type CommitId = Brand<string, 'CommitId'>;
/** The key of an object below a destination's prefix, without that prefix. */
export type ObjectKey = Brand<string, 'ObjectKey'>;

/** The policy name under which backups on demand are stored. */
export const manualPolicy = 'manual';
/** Policy names that the object layout needs for itself. */
export const reservedPolicyNames: readonly string[] = [manualPolicy, 'leases', 'changes', 'freezes'];

/**
 * What the Destination and the Policy are called that the deprecated `backup:` of a seed stands for: `<seed>-backup`.
 * Where that would be too long for a name, the seed's is cut, and a number made of all of it tells it from others.
 */
export function backupName(seed: string): string {
  const whole = `${seed}-backup`;
  if (whole.length <= 63) return whole;
  let hash = 5381;
  for (const letter of seed) hash = (hash * 33 + letter.charCodeAt(0)) % 0xffff_ffff;
  return `${seed.slice(0, 47).replace(/-+$/, '')}-${hash.toString(16).padStart(8, '0')}-backup`;
}

const dnsLabel = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const slotPattern = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/;
const attemptPattern = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** RFC 1123 label: what names of seeds, clusters, destinations and policies must be. */
export function isDnsLabel(text: string): boolean {
  return dnsLabel.test(text);
}

/** The slot of a moment, whole seconds, in UTC. */
export function slotOf(time: Date): Slot {
  return time
    .toISOString()
    .replace(/\.\d{3}Z$/, 'Z')
    .replaceAll(/[-:]/g, '') as Slot;
}

/** The moment of a slot, or undefined where the text is not the slot of a real moment. */
export function slotTime(text: string): Date | undefined {
  const match = slotPattern.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  const time = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(time.getTime()) || slotOf(time) !== text ? undefined : time;
}

export function isSlot(text: string): text is Slot {
  return slotTime(text) !== undefined;
}

export function isAttempt(text: string): text is Attempt {
  return attemptPattern.test(text);
}

/** `seed/cluster`, as people write it. */
export interface ClusterRef {
  readonly seed: string;
  readonly cluster: string;
}

/** `seed/cluster/policy/slot`, with `@destination` for one copy. */
export interface BackupRef extends ClusterRef {
  readonly policy: string;
  readonly slot: Slot;
  readonly destination: string | null;
}

/** Reads `seed/cluster`; undefined where it is not that. */
export function parseClusterRef(text: string): ClusterRef | undefined {
  const [seed, cluster, ...rest] = text.split('/');
  if (seed === undefined || cluster === undefined || rest.length > 0) return undefined;
  return isDnsLabel(seed) && isDnsLabel(cluster) ? { seed, cluster } : undefined;
}

/** `seed/cluster`. */
export function formatClusterRef({ seed, cluster }: ClusterRef): string {
  return `${seed}/${cluster}`;
}

/** Reads `seed/cluster/policy/slot[@destination]`; undefined where it is not that. */
export function parseBackupRef(text: string): BackupRef | undefined {
  const [path = '', destination, ...more] = text.split('@');
  const [seed, cluster, policy, slot, ...rest] = path.split('/');
  if (more.length > 0 || rest.length > 0) return undefined;
  if (seed === undefined || cluster === undefined || policy === undefined || slot === undefined)
    return undefined;
  if (![seed, cluster, policy].every(isDnsLabel) || !isSlot(slot)) return undefined;
  if (destination !== undefined && !isDnsLabel(destination)) return undefined;
  return { seed, cluster, policy, slot, destination: destination ?? null };
}

/** The destination that a name is narrowed to, of a backup or of a cluster; null: none. */
export function destinationIn(name: string): string | null {
  const destination = name.split('@')[1] ?? '';
  return isDnsLabel(destination) ? destination : null;
}

/** `seed/cluster/policy/slot[@destination]`. */
export function formatBackupRef(
  ref: Omit<BackupRef, 'destination'> & { destination?: string | null },
): string {
  const id = `${ref.seed}/${ref.cluster}/${ref.policy}/${ref.slot}`;
  return ref.destination ? `${id}@${ref.destination}` : id;
}
