/** What the text and the markdown of a plan have in common: the same facts in the same words. */
import type { Action, FieldChange, Forecast, Guard, Plan } from '../model/generated/plan.ts';
import { slotTime } from '../model/names.ts';
import { formatAge, formatBytes, formatCount, formatDuration, formatTime } from '../model/units.ts';
import { isLockedYet, isRemoval, unknownAction } from '../plan/actions.ts';
import { runnableActions } from '../plan/plan.ts';
import { printable, shorten } from './text.ts';

/** `3 backups`, `1 backup`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** Columns of a value. */
const valueWidth = 60;

/**
 * What a field was and what it is to be: `5 -> 3`. A long value (a certificate) is cut; of long lists, which would be cut
 * to the same beginning, what goes and what comes is told.
 */
export function changeText({ before, after }: Pick<FieldChange, 'before' | 'after'>, arrow = '->'): string {
  const [from, to] = [plainText(before), plainText(after)];
  if (!Array.isArray(before) || !Array.isArray(after) || Math.max(from.length, to.length) <= valueWidth)
    return `${shorten(from, valueWidth)} ${arrow} ${shorten(to, valueWidth)}`;
  const gone = before.filter((one) => !after.includes(one)).map((one) => `- ${itemText(one)}`);
  const come = after.filter((one) => !before.includes(one)).map((one) => `+ ${itemText(one)}`);
  return [...gone, ...come].join(', ') || 'another order';
}

function plainText(value: FieldChange['after']): string {
  const text = value === null ? 'none' : Array.isArray(value) ? value.join(', ') || 'empty' : String(value);
  return printable(text);
}

/** Keys differ at their ends, certificates as well. */
function itemText(item: string): string {
  const text = printable(item);
  return text.length <= valueWidth ? text : `${text.slice(0, 24)}…${text.slice(-12)}`;
}

export function slotText(slot: string): string {
  const time = slotTime(slot);
  return time === undefined ? printable(slot) : formatTime(time);
}

/** Where an action acts: `to eu-minio, eu-s3`, `on eu-minio`. */
export function placeText(action: Action): string {
  switch (action.type) {
    case 'backup':
      return `to ${action.destinations.join(', ')}`;
    case 'copy':
      return `to ${action.destination} from ${action.from}`;
    case 'drill':
      return `from ${action.destinations.join(' or ')}`;
    case 'undelete':
    case 'tombstone':
    case 'delete':
    case 'sweep':
      return `on ${action.destination}`;
    default:
      return unknownAction(action);
  }
}

export function reasonText(action: Action): string {
  const reason = printable(action.reason);
  if (action.type === 'delete' && action.lockedUntil !== undefined)
    return `${reason}; object lock holds it, goes after ${formatTime(new Date(action.lockedUntil))}`;
  return action.type === 'tombstone' ? `${reason}; goes after ${formatTime(new Date(action.due))}` : reason;
}

export function signOf(action: Action): '+' | '-' {
  return isRemoval(action) || action.type === 'sweep' ? '-' : '+';
}

/** What a guard holds back in one cluster and destination. */
export interface BlockedGroup {
  readonly guard: Guard;
  readonly seed: string;
  readonly cluster: string;
  /** `3 removals on eu-minio`. */
  readonly what: string;
}

export function blockedGroups({ guards, actions }: Plan): BlockedGroup[] {
  const byId = new Map(actions.map((action) => [action.id, action]));
  return guards.flatMap((guard) => {
    const groups = new Map<string, Action[]>();
    for (const id of guard.blocks) {
      const action = byId.get(id);
      if (action === undefined) continue;
      const key = [
        action.seed,
        action.cluster,
        action.destination ?? '',
        isRemoval(action) ? 'removal' : action.type,
      ].join(' ');
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [action]);
      else group.push(action);
    }
    return [...groups.values()].flatMap((group): BlockedGroup[] => {
      const [first] = group;
      if (first === undefined) return [];
      const noun = isRemoval(first) ? 'removal' : first.type;
      const many = noun === 'copy' ? 'copies' : `${noun}s`;
      const place = first.destination === null ? '' : ` on ${first.destination}`;
      const what = `${counted(group.length, noun, many)}${place}`;
      return [{ guard, seed: first.seed, cluster: first.cluster, what }];
    });
  });
}

/** `1 to back up, 1 to tombstone, 3 blocked; 2 objects change, 1 goes`. */
/** What `base` of a plan is: what was last applied, or another commit. */
export type ComparedWith = 'applied' | 'commit';

/** What to put for `DIGEST`, where a guard's hint speaks of it. A plan between two commits is none that is applied. */
export function digestText({ guards, digest }: Plan, comparedWith: ComparedWith): string | null {
  if (!guards.some(({ hint }) => hint.includes('--approve DIGEST'))) return null;
  return comparedWith === 'applied'
    ? `DIGEST is ${digest}`
    : 'DIGEST is what `granary plan` shows once this is merged, where the destinations can be reached';
}

export function summaryText(plan: Plan): string {
  const blocked = new Set(plan.guards.flatMap((guard) => guard.blocks));
  const free = runnableActions(plan);
  const locked = plan.actions.filter((action) => isLockedYet(action) && !blocked.has(action.id)).length;
  const toDo = (type: Action['type'], words: string): string[] => {
    const count = free.filter((action) => action.type === type).length;
    return count === 0 ? [] : [`${formatCount(count)} ${words}`];
  };
  const actions = [
    ...toDo('backup', 'to back up'),
    ...toDo('copy', 'to copy'),
    ...toDo('undelete', 'to keep after all'),
    ...toDo('tombstone', 'to tombstone'),
    ...toDo('delete', 'to delete'),
    ...toDo('sweep', 'to sweep'),
    ...toDo('drill', 'to drill'),
    ...(locked > 0 ? [`${formatCount(locked)} held by object lock`] : []),
    ...(plan.summary.blocked > 0 ? [`${formatCount(plan.summary.blocked)} blocked`] : []),
  ];
  const { add, change, remove } = plan.summary;
  const objects = [
    ...(add > 0 ? [`${counted(add, 'object')} ${add === 1 ? 'is' : 'are'} new`] : []),
    ...(change > 0 ? [`${counted(change, 'object')} change${change === 1 ? 's' : ''}`] : []),
    ...(remove > 0 ? [`${counted(remove, 'object')} go${remove === 1 ? 'es' : ''}`] : []),
  ];
  const parts = [actions.join(', '), objects.join(', ')].filter(Boolean);
  return parts.length === 0 ? 'nothing to do' : parts.join('; ');
}

/** A cluster's outlook over all its policies: the one that loses least counts. */
export interface Outlook {
  /** `seed/cluster`. */
  readonly name: string;
  readonly lossMs: number | null;
  readonly late: boolean;
  /** RFC 3339; null: never. */
  readonly proven: string | null;
  readonly backups: number;
  readonly bytes: number;
  /** False where a destination could not be read, so that there may be more. */
  readonly complete: boolean;
}

/** Worst first: without a backup, then late, then by what would be lost. */
export function outlooks(forecast: readonly Forecast[]): Outlook[] {
  const found = new Map<string, Outlook>();
  for (const one of forecast) {
    const name = `${one.seed}/${one.cluster}`;
    const { lossMs, late, proven, backups, bytes, complete } = found.get(name) ?? {
      lossMs: null,
      late: false,
      proven: null,
      backups: 0,
      bytes: 0,
      complete: true,
    };
    const losses = [lossMs, one.worstLossMs].filter((loss) => loss !== null);
    const proofTime = one.lastProof?.ok === true ? one.lastProof.time : null;
    found.set(name, {
      name,
      lossMs: losses.length === 0 ? null : Math.min(...losses),
      late: late || one.late,
      proven: proofTime !== null && (proven === null || proofTime > proven) ? proofTime : proven,
      backups: backups + one.backups,
      bytes: bytes + one.bytes,
      complete: complete && one.complete,
    });
  }
  const badness = ({ lossMs }: Outlook): number => lossMs ?? Number.MAX_SAFE_INTEGER;
  return [...found.values()].sort(
    (a, b) => badness(b) - badness(a) || Number(b.late) - Number(a.late) || (a.name < b.name ? -1 : 1),
  );
}

export function lossText({ lossMs, late, backups, complete }: Outlook): string {
  const none = backups === 0 && complete ? 'everything' : 'not known';
  const loss = lossMs === null ? none : `${formatDuration(lossMs)}${complete ? '' : ' at most'}`;
  return `${loss}${late ? ' (late)' : ''}`;
}

export function provenText({ proven, complete }: Outlook, now: Date): string {
  if (proven !== null) return formatAge(now.getTime() - Date.parse(proven));
  return complete ? 'never' : 'not known';
}

export function holdingsText({ backups, bytes, complete }: Outlook): string {
  const known = `${counted(backups, 'backup')}, ${formatBytes(bytes)}`;
  if (complete) return known;
  return backups === 0 ? 'not known' : `${known}, and what could not be read`;
}

export function commitText(commit: string | null): string {
  return commit === null ? 'no commit' : commit.slice(0, 7);
}
