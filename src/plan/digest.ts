/** What a plan's digest stands for, and when a saved plan does not hold any more. */
import type { Action, Change, Plan } from '../model/generated/plan.ts';
import { isRemoval } from './actions.ts';

/**
 * The text to hash: changes and removals, in an order that does not depend on anything else. Backups and copies are left
 * out, because they keep arriving, moments, because they pass, and approvals, because one of them names this digest.
 */
export function digestInput({ changes, actions }: Pick<Plan, 'changes' | 'actions'>): string {
  return JSON.stringify({
    changes: changes.flatMap(essenceOf),
    removals: actions
      .filter(isRemoval)
      .map((action) => action.id)
      .sort(),
  });
}

/** What a change is, its consequences aside; nothing where it only approves something. */
function essenceOf({ kind, name, change, fields }: Change): unknown[] {
  const counted = fields.filter(({ path }) => kind !== 'Repository' || path !== 'approvals');
  if (counted.length === 0 && fields.length > 0) return [];
  return [[kind, name, change, counted.map(({ path, before, after }) => [path, before, after])]];
}

/**
 * Why a saved plan may not be applied any more, in words; null where it may. Backups that have come since do not count,
 * and neither does a change that somebody else has applied meanwhile, which is one less to make.
 * @param current a plan made now
 */
export function whyStale(saved: Plan, current: Plan): string | null {
  if (saved.commit !== current.commit) {
    return `it was made for commit ${saved.commit ?? 'none'}, and the configuration is at ${current.commit ?? 'none'}`;
  }
  const known = new Set(saved.changes.flatMap(essenceOf).map((essence) => JSON.stringify(essence)));
  const added = current.changes.find((change) =>
    essenceOf(change).some((essence) => !known.has(JSON.stringify(essence))),
  );
  if (added !== undefined)
    return `${added.kind} ${added.name} differs from what was applied in another way now`;
  const planned = new Set(removedCopies(current));
  const gone = removedCopies(saved).find((copy) => !planned.has(copy));
  return gone === undefined ? null : `the removal of ${gone} is no longer planned`;
}

/** The actions without the removals that a saved plan does not have. */
export function onlySavedRemovals(actions: readonly Action[], saved: Pick<Plan, 'actions'>): Action[] {
  const known = new Set(removedCopies(saved));
  return actions.filter((action) => !isRemoval(action) || known.has(copyOf(action)));
}

/** Without the type: a tombstone that has meanwhile become due is the same removal, one step on. */
function removedCopies({ actions }: Pick<Plan, 'actions'>): string[] {
  return actions.filter(isRemoval).map(copyOf);
}

/** The id of an action without its type. */
export function copyOf({ id }: Action): string {
  return id.slice(id.indexOf(':') + 1);
}
