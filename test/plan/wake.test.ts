import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dueSlot, slotsAround } from '../../src/plan/schedule.ts';
import { nextRunOf } from '../../src/plan/wake.ts';
import { clusterOf, desiredOf, policyOf, seedOf } from './fixtures.ts';

const schedule = (cron: string, jitterMs = 0) => ({
  cron,
  timeZone: 'UTC',
  jitterMs,
  startingDeadlineMs: null,
});
const at = (text: string) => new Date(`2026-11-21T${text}Z`);

function runsOf(...policies: Parameters<typeof policyOf>[1][]) {
  return desiredOf({ policies: policies.map((part, index) => policyOf(`policy-${index}`, part)) })
    .assignments;
}

test('the soonest run of all policies', () => {
  const assignments = runsOf({ schedule: schedule('0 * * * *') }, { schedule: schedule('*/20 * * * *') });
  expect(nextRunOf(assignments, at('14:03:00'))).toEqual(at('14:20:00'));
  expect(nextRunOf(assignments, at('14:20:00'))).toEqual(at('14:40:00'));
});

test('what does not run wakes nobody', () => {
  expect(nextRunOf([], at('14:00:00'))).toBeNull();
  expect(nextRunOf(runsOf({ suspend: true }), at('14:00:00'))).toBeNull();
  const disabled = desiredOf({ seeds: [seedOf('eu', [clusterOf('a')], { enabled: false })] });
  expect(nextRunOf(disabled.assignments, at('14:00:00'))).toBeNull();
  const homeless = desiredOf({ destinations: [] });
  expect(nextRunOf(homeless.assignments, at('14:00:00'))).toBeNull();
});

test('it wakes at exactly the moment at which the slot becomes due, jitter and all', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('* * * * *', '*/7 * * * *', '0 * * * *', '30 2 * * *', '0 0 29 2 *'),
      fc.integer({ min: 0, max: 3_600_000 }),
      fc.integer({ min: 0, max: 366 * 86_400 }),
      fc.stringMatching(/^[a-z]{1,8}$/),
      (cron, jitterMs, second, cluster) => {
        const after = new Date(Date.UTC(2026, 0, 1) + second * 1_000);
        const policy = policyOf('p', { schedule: schedule(cron, jitterMs) });
        const { assignments } = desiredOf({
          seeds: [seedOf('eu', [clusterOf(cluster)])],
          policies: [policy],
        });
        const wake = nextRunOf(assignments, after);
        expect(wake).not.toBeNull();
        if (wake === null) return;
        expect(wake.getTime()).toBeGreaterThan(after.getTime());
        // A cluster with an old backup: its slot is due at that moment, and not a millisecond before.
        const history = { key: `eu/${cluster}/p`, newest: new Date(0), read: 'all' } as const;
        const due = (time: Date) =>
          dueSlot(policy.schedule, history, time, slotsAround(policy.schedule, time));
        expect(due(wake)?.start).toEqual(wake);
        expect(due(new Date(wake.getTime() - 1))?.start).not.toEqual(wake);
      },
    ),
  );
});
