/** Which leftovers a plan sweeps, and which it leaves. */
import { describe, expect, it } from 'vitest';
import type { ReadDestination, SlotRemnant, UnfinishedData } from '../../src/model/inventory.ts';
import type { Attempt } from '../../src/model/names.ts';
import { holdingsOf } from '../../src/plan/holdings.ts';
import { makePlan } from '../../src/plan/plan.ts';
import { sweepsOf } from '../../src/plan/sweeps.ts';
import {
  actualOf,
  clusterOf,
  desiredOf,
  destinationOf,
  hour,
  inventoryOf,
  now,
  options,
  read,
  seedOf,
  slot,
  unknown,
} from './fixtures.ts';

const ref = { seed: 'eu', cluster: 'a', policy: 'hourly', slot: slot('2026-11-19T14:00:00Z') };
const ago = (hours: number): string => new Date(now.getTime() - hours * hour).toISOString();

function data(hours: number, part: Partial<UnfinishedData> = {}): UnfinishedData {
  return { ...ref, attempt: '01' as Attempt, bytes: 1, modified: ago(hours), ...part };
}

function remnant(part: Partial<SlotRemnant>): SlotRemnant {
  return { ...ref, claimed: null, tombstone: null, others: 0, ...part };
}

const tombstone = (settled: boolean, hours: number) => ({
  due: ago(hours),
  id: 'T',
  written: ago(hours),
  settled,
});

function reasons(part: Partial<ReadDestination>, desired = desiredOf()): string[] {
  return sweepsOf(desired, holdingsOf(inventoryOf(read('one', [], part))), now).map(({ reason }) => reason);
}

describe('sweeps', () => {
  const byRun = ['left over by a run that was cut off'];
  const byRemoval = ['left over by a removal that was cut off'];
  const old = { unfinished: [data(25)] };

  it('take data without a manifest after 24 hours, once for a slot', () => {
    expect(reasons({ unfinished: [data(24)] })).toEqual([]);
    expect(reasons({ unfinished: [data(25), data(30)] })).toEqual(byRun);
    expect(reasons({ unfinished: [data(25), data(1)] })).toEqual([]);
    expect(reasons({ unfinished: [data(25)], remnants: [remnant({ claimed: ago(1) })] })).toEqual([]);
  });
  it('go on with a removal that has won at once, but not over young data', () => {
    const remnants = [remnant({ tombstone: tombstone(true, 1), others: 1 })];
    expect(reasons({ remnants })).toEqual(byRemoval);
    expect(reasons({ remnants, unfinished: [data(1)] })).toEqual([]);
    expect(reasons({ remnants: [remnant({ tombstone: tombstone(false, 1) })] })).toEqual([]);
    expect(reasons({ remnants: [remnant({ tombstone: tombstone(false, 25) })] })).toEqual(byRemoval);
  });
  it('take pins and proofs without a backup by the age of the slot', () => {
    expect(reasons({ remnants: [remnant({ others: 1 })] })).toHaveLength(1);
    expect(reasons({ remnants: [remnant({ others: 1, slot: slot('2026-11-21T14:00:00Z') })] })).toEqual([]);
  });
  it('leave what is locked, disabled, unknown or not in Git', () => {
    expect(reasons(old)).toEqual(byRun);
    expect(reasons(old, desiredOf({ destinations: [destinationOf('one', { locked: true })] }))).toEqual([]);
    expect(reasons(old, desiredOf({ seeds: [seedOf('eu', [clusterOf('a')], { enabled: false })] }))).toEqual(
      [],
    );
    expect(reasons({ unfinished: [data(25, { cluster: 'gone' })] })).toEqual([]);
    expect(sweepsOf(desiredOf(), holdingsOf(inventoryOf(unknown('one'))), now)).toEqual([]);
  });
  it('count as no removal, and wait for a record of what was applied', () => {
    const made = makePlan(desiredOf(), actualOf(null, read('one', [], old), read('two', [])), now, options);
    const id = 'sweep:eu/a/hourly/20261119T140000Z@one';
    expect(made.actions.at(-1)).toMatchObject({ id, type: 'sweep' });
    expect(made.summary).toMatchObject({ delete: 0, blocked: 1 });
    expect(made.guards).toMatchObject([{ code: 'no-applied-state', blocks: [id] }]);
  });
});
