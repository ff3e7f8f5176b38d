import { expect, test } from 'vitest';
import { Passes } from '../../src/agent/passes.ts';

const start = new Date('2026-11-21T14:00:00Z');
const after = (seconds: number) => new Date(start.getTime() + seconds * 1_000);

function planned(passMs = 10, nextRun: Date | null = null): Passes {
  const passes = new Passes(start);
  passes.renew();
  passes.begin();
  passes.succeed(start, passMs, nextRun);
  return passes;
}

test('a new configuration waits for nothing', () => {
  const passes = planned(60_000);
  expect(passes.due(after(1), null)).toBeNull();
  passes.renew();
  expect(passes.due(after(1), null)).toBe('configuration');
  passes.begin();
  expect(passes.due(after(1), null)).toBeNull();
});

test('a run, a retry, and an hour without either', () => {
  expect(planned(10, after(60)).due(after(59), null)).toBeNull();
  expect(planned(10, after(60)).due(after(60), null)).toBe('schedule');
  expect(planned().due(after(29), after(30))).toBeNull();
  expect(planned().due(after(30), after(30))).toBe('retry');
  expect(planned().due(after(3_599), null)).toBeNull();
  expect(planned().due(after(3_600), null)).toBe('hourly');
});

test('what has become outdated is planned anew, once', () => {
  const passes = planned();
  passes.outdate();
  expect(passes.due(after(10), null)).toBe('caught up');
  passes.begin();
  passes.succeed(after(10), 10, null);
  expect(passes.due(after(60), null)).toBeNull();
});

test('passes take a fifth of the time at most: what comes in between waits', () => {
  const slow = planned(20_000, after(21));
  expect(slow.due(after(99), after(1))).toBeNull();
  expect(slow.due(after(100), after(1))).toBe('schedule');
  const quick = planned(1, after(1));
  expect(quick.due(after(4), null)).toBeNull();
  expect(quick.due(after(6), null)).toBe('schedule');
  const hopeless = planned(600_000, after(1));
  expect(hopeless.due(after(900), null)).toBe('schedule');
});

test('a failed pass waits as long as it is told, and longer each time', () => {
  const passes = planned(10, after(10));
  passes.begin();
  passes.fail(after(10), (failures) => failures * 30_000);
  expect(passes.due(after(39), null)).toBeNull();
  expect(passes.due(after(40), null)).toBe('retry');
  passes.fail(after(40), (failures) => failures * 30_000);
  expect(passes.failures).toBe(2);
  expect(passes.due(after(99), null)).toBeNull();
  expect(passes.due(after(100), null)).toBe('retry');
  passes.succeed(after(100), 10, null);
  expect(passes.failures).toBe(0);
});

test('a clock that is set back keeps nothing waiting: what was reckoned by it is void', () => {
  const passes = planned(10, after(60));
  expect(passes.due(after(20), null)).toBeNull();
  expect(passes.due(after(-86_400), null)).toBeNull();
  expect(passes.due(after(-86_395), null)).toBe('caught up');
  passes.begin();
  passes.succeed(after(-86_395), 10, null);
  expect(passes.due(after(-82_796), null)).toBeNull();
  expect(passes.due(after(-82_795), null)).toBe('hourly');
});

test('where it is set back and passes fail, they pause all the same', () => {
  const passes = planned();
  expect(passes.due(after(20), null)).toBeNull();
  expect(passes.due(after(-100), null)).toBeNull();
  passes.begin();
  passes.fail(after(-95), () => 30_000);
  expect(passes.due(after(-66), null)).toBeNull();
  expect(passes.due(after(-65), null)).toBe('retry');
});
