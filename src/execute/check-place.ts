/** What the settings of a bucket mean for the backups in it, as steps of a check. */
import { type CheckStep, failed, passed, warned } from '../model/check.ts';
import type { Destination, S3Destination } from '../model/config.ts';
import { formatCount } from '../model/units.ts';
import type { Known, LifecycleEffect, LockFacts, PlaceFacts } from '../store/facts.ts';

type Lock = S3Destination['objectLock'];

export function placeSteps(facts: PlaceFacts, destination: Destination): CheckStep[] {
  const wanted = destination.provider === 's3' ? destination.objectLock : null;
  return [
    step('versions', facts.versioning, (versioning) => versionsStep(versioning, facts.lifecycle)),
    step('object lock', facts.lock, (lock) => lockStep(lock, wanted)),
    ...lifecycleSteps(facts.lifecycle),
  ];
}

/** What is not known is said to be that; it is no failure, for the backups do not need it. */
function step<T>(name: string, known: Known<T>, told: (value: T) => CheckStep): CheckStep {
  if ('value' in known) return told(known.value);
  return warned(name, `unknown: ${known.unknown}`, 'look at the settings of the bucket by other means');
}

function versionsStep(versioning: 'on' | 'suspended' | 'off', lifecycle: PlaceFacts['lifecycle']): CheckStep {
  if (versioning !== 'on') return passed('versions', versioning);
  if (!('value' in lifecycle)) return passed('versions', 'on');
  const clears = lifecycle.value.find(({ effect }) => effect === 'clears');
  if (clears !== undefined) return passed('versions', `on; old ones go ${after(clears)}`);
  return warned(
    'versions',
    'on, and no rule of the bucket removes old ones: each status that is replaced stays',
    'add a lifecycle rule that expires noncurrent versions',
  );
}

function lockStep(lock: LockFacts | null, wanted: Lock): CheckStep {
  const name = 'object lock';
  if (lock === null) {
    if (wanted === null) return warned(name, 'off: a stolen key could delete backups', null);
    const hint = 'switch object lock on for the bucket, or remove `objectLock` from the destination';
    return failed(name, 'the bucket has none, so no backup could be stored', hint);
  }
  if (lock.usual !== null) {
    const { mode, days } = lock.usual;
    return warned(
      name,
      `the bucket locks every object for ${formatCount(days)} days (${mode}), status and leases too`,
      'remove the default retention of the bucket, and set `objectLock`: then only data and manifests are locked',
    );
  }
  if (wanted === null) {
    const hint = 'set `objectLock` in the destination';
    return warned(name, 'the bucket has it, and the destination does not use it', hint);
  }
  return passed(name, `data and manifests are held for ${formatCount(wanted.days)} days (${wanted.mode})`);
}

function lifecycleSteps(lifecycle: PlaceFacts['lifecycle']): CheckStep[] {
  const name = 'lifecycle';
  if (!('value' in lifecycle)) return [step(name, lifecycle, () => passed(name))];
  const steps = lifecycle.value.flatMap((effect) => lifecycleStep(name, effect) ?? []);
  return steps.length === 0 ? [passed(name, 'no rule of the bucket touches backups')] : steps;
}

function lifecycleStep(name: string, effect: LifecycleEffect): CheckStep | null {
  switch (effect.effect) {
    case 'clears':
      return null;
    case 'expires':
      return warned(
        name,
        `the rule ${effect.rule} removes objects here ${after(effect)}, whatever the policies keep`,
        'leave removal to `keep`: take this prefix out of the rule',
      );
    case 'freezes':
      return warned(
        name,
        `the rule ${effect.rule} moves objects here to an archive ${after(effect)}: they cannot be verified or restored from there`,
        'take this prefix out of the rule, or use a class that can be read at once',
      );
  }
}

function after({ days }: LifecycleEffect): string {
  return days === null ? 'at a fixed date' : `after ${formatCount(days)} ${days === 1 ? 'day' : 'days'}`;
}
