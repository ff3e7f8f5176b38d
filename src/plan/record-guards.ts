/**
 * Guards that the record of what was last applied asks for: whose it is, how new it is, and whether it is the newest.
 * A plan that compares with the wrong one would take for unwanted what somebody else wants.
 */
import type { Action, Guard } from '../model/generated/plan.ts';
import { type GuardInput, guard } from './guard.ts';

/** Another repository has applied to this seed: two of them would undo each other's work. */
export function foreignRepository({ desired, actual, actions, approved }: GuardInput): Guard[] {
  const owner = actual.applied?.repositoryId ?? null;
  const { id } = desired.configuration.repository;
  if (approved || owner === null || owner === id) return [];
  const own = id === null ? 'this one has no id' : `this one is ${id}`;
  return [
    guard(
      'foreign-repository',
      `${seedsText(desired)} is served from another repository: it has the id ${owner}, and ${own}; nothing is done`,
      'is this the right repository and seed? To take the seed over approve this plan: `granary apply --approve DIGEST`; if the id was changed by mistake, put `Repository.spec.id` back',
      actions,
    ),
  ];
}

/** A checkout that is behind, or a branch that was set back: it knows nothing of what was decided since. */
export function olderCommit({ desired, actual, approved }: GuardInput, removals: readonly Action[]): Guard[] {
  const { applied, relation } = actual;
  if (approved || applied === null || (relation !== 'older' && relation !== 'unknown')) return [];
  const own = (desired.commit ?? '').slice(0, 7);
  const last = (applied.commit ?? '').slice(0, 7);
  return [
    relation === 'older'
      ? guard(
          'older-commit',
          `commit ${own} is older than ${last}, which was applied already; nothing is removed by it, and it is not recorded`,
          'pull, and run it again; to go back make a new commit (`git revert`), or approve this plan: `granary apply --approve DIGEST`',
          removals,
        )
      : guard(
          'older-commit',
          `whether commit ${own} follows from ${last}, which was last applied, is not known here; nothing is removed by it, and it is not recorded`,
          'fetch the whole history (`git fetch --unshallow`, in a workflow `fetch-depth: 0`) and pull; where that commit is gone for good, approve this plan: `granary apply --approve DIGEST`',
          removals,
        ),
  ];
}

/** Where a destination could not be read, a newer record may lie there, with protections that are not known here. */
export function appliedUncertain({ actual, approved }: GuardInput, removals: readonly Action[]): Guard[] {
  const unread = actual.unreadRecords ?? [];
  const [first] = unread;
  if (approved || first === undefined) return [];
  const places = unread.map(({ destination, reason }) => `${destination} (${reason})`).join(', ');
  const mend = first.hint ?? `\`granary check ${first.destination}\` says what is wrong`;
  return [
    guard(
      'applied-uncertain',
      `what was last applied cannot be read everywhere, and may be newer where it cannot: ${places}; nothing is removed anywhere, and nothing new is recorded`,
      `${mend}; where that is gone for good, approve this plan: \`granary apply --approve DIGEST\``,
      removals,
      { destination: first.destination },
    ),
  ];
}

/** Guards under which what was applied is not written down: the record would hide what speaks against it. */
const unrecorded: ReadonlySet<Guard['code']> = new Set([
  'empty-desired-state',
  'foreign-repository',
  'older-commit',
  'applied-uncertain',
]);

/** True where the plan, once carried out, is the base of the next one. */
export function mayRecord(guards: readonly Pick<Guard, 'code'>[]): boolean {
  return !guards.some(({ code }) => unrecorded.has(code));
}

function seedsText({ configuration: { seeds } }: GuardInput['desired']): string {
  const [first] = seeds;
  return seeds.length === 1 && first !== undefined ? `seed ${first.name}` : 'what this configuration names';
}
