/** What a plan's digest stands for, and when a saved plan does not hold any more. */
import type { Plan } from '../model/generated/plan.ts';
import { isRemoval } from './actions.ts';

/**
 * The text to hash: changes and removals, in an order that does not depend on anything else. Backups and copies are left
 * out, because they keep arriving, moments, because they pass, and approvals, because one of them names this digest.
 */
export function digestInput({ changes, actions }: Pick<Plan, 'changes' | 'actions'>): string {
  return JSON.stringify({
    changes: changes.flatMap(({ kind, name, change, fields }) => {
      const counted = fields.filter(({ path }) => kind !== 'Repository' || path !== 'approvals');
      if (counted.length === 0 && fields.length > 0) return [];
      return [[kind, name, change, counted.map(({ path, before, after }) => [path, before, after])]];
    }),
    removals: actions
      .filter(isRemoval)
      .map((action) => action.id)
      .sort(),
  });
}

/**
 * Why a saved plan may not be applied any more, in words; null where it may.
 * @param current a plan made now
 */
export function whyStale(saved: Plan, current: Plan): string | null {
  if (saved.commit !== current.commit) {
    return `it was made for commit ${saved.commit ?? 'none'}, and the configuration is at ${current.commit ?? 'none'}`;
  }
  const planned = new Set(removedCopies(current));
  const gone = removedCopies(saved).find((copy) => !planned.has(copy));
  return gone === undefined ? null : `the removal of ${gone} is no longer planned`;
}

/** Without the type: a tombstone that has meanwhile become due is the same removal, one step on. */
function removedCopies({ actions }: Plan): string[] {
  return actions.filter(isRemoval).map(({ id }) => id.slice(id.indexOf(':') + 1));
}
