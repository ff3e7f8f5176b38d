import { describe, expect, it } from 'vitest';
import { findBackup } from '../../src/catalog/find.ts';
import {
  endDivergence,
  freezeFor,
  freezeKindsOf,
  readFreezes,
  requireNotFrozen,
  writeAcceptance,
  writeFreeze,
} from '../../src/catalog/freezes.ts';
import type { Store } from '../../src/store/store.ts';
import { attempt, cluster, manifestOf, now, openStore, publish, signal, slotAt } from './helpers.ts';

const step = [{ kind: 'revision', before: '88', after: '12' }];
const kindsIn = async (store: Store) =>
  (await readFreezes(store, cluster, { signal })).freezes.map(({ kind, id }) => `${kind} ${id.slice(-1)}`);
const accept = (store: Store, number: number) =>
  writeAcceptance(store, { ...cluster, through: attempt(number) }, null, { signal, now });

describe('a freeze', () => {
  it('is of what a manifest is marked with', () => {
    const kinds = (overrides: Parameters<typeof manifestOf>[1]) =>
      freezeKindsOf(manifestOf(slotAt(1), overrides));
    expect(kinds({})).toEqual([]);
    expect(kinds({ regression: step })).toEqual(['revision']);
    expect(kinds({ regression: [{ kind: 'cluster-id', before: 'a', after: 'b' }, ...step] })).toEqual([
      'cluster',
    ]);
    expect(kinds({ regression: [{ kind: 'keys', before: '60000', after: '2' }] })).toEqual(['keys']);
    const others = [{ memberId: 'b', hash: 7, revision: 88_213_004, compactRevision: 88_100_000 }];
    expect(kinds({ regression: step, hashKV: { others } })).toEqual(['revision', 'members']);
  });

  it('is written once for what goes on, and anew for what comes after it was accepted', async () => {
    const store = await openStore();
    const marked = (number: number) =>
      manifestOf(slotAt(number), { attempt: attempt(number), regression: step });
    await freezeFor(store, manifestOf(slotAt(1)), { signal });
    expect(await kindsIn(store)).toEqual([]);
    await requireNotFrozen(store, cluster, { signal });
    for (const number of [2, 3]) await freezeFor(store, marked(number), { signal });
    expect(await kindsIn(store)).toEqual(['revision 2']);
    await expect(requireNotFrozen(store, cluster, { signal })).rejects.toMatchObject({ code: 'blocked' });
    await accept(store, 3);
    await requireNotFrozen(store, cluster, { signal });
    // A copy of what was accepted, which is made later.
    await freezeFor(store, marked(3), { signal });
    await requireNotFrozen(store, cluster, { signal });
    await freezeFor(store, marked(4), { signal });
    await expect(requireNotFrozen(store, cluster, { signal })).rejects.toMatchObject({ code: 'blocked' });
    expect(await kindsIn(store)).toEqual(['revision 2', 'revision 4']);
    // To say the same twice is no error.
    await accept(store, 4);
    await accept(store, 4);
    await requireNotFrozen(store, cluster, { signal });
  });

  it('for members that differ ends when they agree, and no other does', async () => {
    const store = await openStore();
    for (const kind of ['members', 'keys'] as const)
      await writeFreeze(store, { ...cluster, kind, id: attempt(2) }, {}, { signal });
    await endDivergence(store, cluster, attempt(2), { signal });
    expect(await kindsIn(store)).toEqual(['keys 2', 'members 2']);
    await endDivergence(store, cluster, attempt(3), { signal });
    expect(await kindsIn(store)).toEqual(['keys 2']);
  });

  it('and the mark behind it are over once accepted, wherever that lies', async () => {
    const [one, two] = [await openStore(), await openStore()];
    await publish(one, slotAt(10));
    await publish(one, slotAt(11), { manifest: { attempt: attempt(2), regression: step } });
    const sources = [
      { name: 'one', store: one },
      { name: 'two', store: two },
    ];
    const newest = async () =>
      (await findBackup(sources, { ...cluster, destination: null }, { signal })).slot;
    expect(await newest()).toBe(slotAt(10).slot);
    await accept(two, 1);
    expect(await newest()).toBe(slotAt(10).slot);
    await accept(two, 2);
    expect(await newest()).toBe(slotAt(11).slot);
  });
});
