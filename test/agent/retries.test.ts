import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Attempted, attemptedBy, pauseMs, Retries } from '../../src/agent/retries.ts';
import type { BackupAction, CopyAction } from '../../src/model/generated/plan.ts';

const now = new Date('2026-11-21T14:00:00Z');
const later = (ms: number) => new Date(now.getTime() + ms);

function backup(cluster: string, slot: string, deadline: string | null = null): BackupAction {
  return {
    id: `backup:eu/${cluster}/hourly/${slot}`,
    type: 'backup',
    seed: 'eu',
    cluster,
    destination: null,
    policy: 'hourly',
    slot,
    reason: 'due now',
    destinations: ['one'],
    deadline,
  };
}

test('a pause doubles, never passes five minutes, and differs by key', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2_000 }), fc.string(), (failures, key) => {
      const pause = pauseMs(failures, 'etcd-unreachable', key);
      const full = Math.min(300_000, 5_000 * 2 ** (failures - 1));
      expect(pause).toBeLessThanOrEqual(full);
      expect(pause).toBeGreaterThan(full * 0.79);
    }),
  );
  const pauses = new Set(Array.from({ length: 50 }, (_, index) => pauseMs(3, null, `cluster-${index}`)));
  expect(pauses.size).toBeGreaterThan(40);
});

test('what needs a person waits five minutes at once', () => {
  expect(pauseMs(1, 'etcd-auth', 'key')).toBeGreaterThan(240_000 - 1);
  expect(pauseMs(1, 'etcd-unreachable', 'key')).toBeLessThanOrEqual(5_000);
});

test('only what failed waits, until its time has come', () => {
  const retries = new Retries();
  const [dead, live] = [attemptedBy(backup('dead', 'a')), attemptedBy(backup('live', 'a'))];
  retries.failed(dead, 'etcd-unreachable', now);
  const at = retries.next(now);
  expect(at).not.toBeNull();
  expect(retries.mustWait(live, now)).toBe(false);
  expect(retries.mustWait(dead, later((at?.getTime() ?? 0) - now.getTime() - 1))).toBe(true);
  expect(retries.mustWait(dead, at ?? now)).toBe(false);
  expect(retries.next(at ?? now)).toBeNull();
});

test('a new slot is tried at its time, and its pause goes on growing', () => {
  const retries = new Retries();
  for (const slot of ['a', 'a', 'a'])
    retries.failed(attemptedBy(backup('dead', slot)), 'etcd-unreachable', now);
  expect(retries.mustWait(attemptedBy(backup('dead', 'a')), later(10_000))).toBe(true);
  expect(retries.mustWait(attemptedBy(backup('dead', 'b')), now)).toBe(false);
  retries.failed(attemptedBy(backup('dead', 'b')), 'etcd-unreachable', now);
  expect(retries.mustWait(attemptedBy(backup('dead', 'b')), later(30_000))).toBe(true);
  expect(retries.mustWait(attemptedBy(backup('dead', 'b')), later(40_000))).toBe(false);
});

test('a failure of a time to come, by a clock that was set back since, holds up nothing', () => {
  const retries = new Retries();
  const dead = attemptedBy(backup('dead', 'a'));
  retries.failed(dead, 'etcd-auth', now);
  expect(retries.mustWait(dead, later(-60_000))).toBe(true);
  expect(retries.mustWait(dead, later(-3_600_000))).toBe(false);
});

test('nobody wakes for a slot that is given up by then', () => {
  const retries = new Retries();
  retries.failed(attemptedBy(backup('dead', 'a', later(1_000).toISOString())), 'etcd-unreachable', now);
  expect(retries.next(now)).toBeNull();
  retries.failed(attemptedBy(backup('other', 'a', later(60_000).toISOString())), 'etcd-unreachable', now);
  expect(retries.next(now)).not.toBeNull();
});

test('success, a new configuration and a plan without it make it forgotten', () => {
  const copy: CopyAction = {
    ...backup('a', 'x'),
    id: 'copy:eu/a/hourly/x@two',
    type: 'copy',
    destination: 'two',
    from: 'one',
  };
  const attempts: Attempted[] = [attemptedBy(backup('a', 'x')), attemptedBy(copy)];
  const failAll = (retries: Retries) => {
    for (const one of attempts) retries.failed(one, null, now);
    return retries;
  };
  const waiting = (retries: Retries) => attempts.map((one) => retries.mustWait(one, now));
  const [succeeded, kept, cleared] = [failAll(new Retries()), failAll(new Retries()), failAll(new Retries())];
  expect(waiting(succeeded)).toEqual([true, true]);
  succeeded.succeeded(attemptedBy(copy));
  expect(waiting(succeeded)).toEqual([true, false]);
  kept.keepOnly([copy.id]);
  expect(waiting(kept)).toEqual([false, true]);
  cleared.clear();
  expect(waiting(cleared)).toEqual([false, false]);
});
