import { expect, test } from 'vitest';
import { overviewOf } from '../../src/plan/overview.ts';
import { copyOf, desiredOf, inventoryOf, now, read, slot, unknown } from './fixtures.ts';

const proof = (kind: 'hashkv' | 'read' | 'drill', ok: boolean, time: string) => ({ kind, ok, time });

test('what copies say counts over all destinations: the newest proof, the newest that passed, the bad ones', () => {
  const old = copyOf('a', slot('2026-11-21T12:00:00Z'), {
    published: '2026-11-21T12:00:10Z',
    proofs: [proof('hashkv', true, '2026-11-21T12:00:09Z'), proof('read', true, '2026-11-21T12:30:00Z')],
  });
  const newer = copyOf('a', slot('2026-11-21T13:00:00Z'), {
    published: '2026-11-21T13:00:10Z',
    proofs: [proof('hashkv', true, '2026-11-21T13:00:09Z'), proof('read', false, '2026-11-21T13:30:00Z')],
  });
  const foreign = copyOf('a', slot('2026-11-21T14:00:00Z'), {
    seed: 'another',
    proofs: [proof('drill', true, '2026-11-21T13:59:00Z')],
  });
  // `former` is of no policy any more.
  const inventory = inventoryOf(read('one', [old, foreign]), read('former', [newer]), unknown('two'));
  const { rows } = overviewOf(desiredOf(), 'eu', inventory, now);
  const [a, b] = rows;
  expect(a).toMatchObject({
    cluster: 'a',
    newest: { slot: old.slot, on: ['one'], missingOn: [] },
    lastPublished: '2026-11-21T13:00:10Z',
    passed: { hashkv: '2026-11-21T13:00:09Z', read: '2026-11-21T12:30:00Z', drill: null },
    badCopies: 1,
  });
  expect(a?.proofs.read).toEqual(newer.proofs[1]);
  expect(b).toMatchObject({ cluster: 'b', lastPublished: null, badCopies: 0, proofs: { hashkv: null } });
});
