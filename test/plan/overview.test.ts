import { expect, test } from 'vitest';
import { overviewOf, timelineOf } from '../../src/plan/overview.ts';
import {
  clusterOf,
  copyOf,
  day,
  desiredOf,
  inventoryOf,
  keepOf,
  now,
  policyOf,
  read,
  seedOf,
  slot,
  unknown,
} from './fixtures.ts';

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

test('a slot at midnight is of the day that begins with it, on the first of the days too', () => {
  const nightly = desiredOf({
    seeds: [seedOf('eu', [clusterOf('a')])],
    policies: [
      policyOf('hourly', {
        schedule: { cron: '0 0 * * *', timeZone: 'UTC', jitterMs: 0, startingDeadlineMs: null },
        keep: keepOf({ withinMs: 60 * day }),
      }),
    ],
  });
  const nights = Array.from({ length: 40 }, (_, index) => new Date(Date.parse('2026-11-21') - index * day));
  const missing = ['2026-10-22', '2026-10-23', '2026-11-19'];
  const copies = nights
    .map((night) => night.toISOString())
    .filter((night) => !missing.includes(night.slice(0, 10)))
    .map((night) => copyOf('a', slot(night), { published: night }))
    .reverse();
  const overview = overviewOf(nightly, 'eu', inventoryOf(read('one', copies), unknown('two')), now);
  const { backups, missed } = timelineOf(overview, 0);
  expect(overview.firstDay.toISOString()).toBe('2026-10-23T00:00:00.000Z');
  expect(missed).toEqual(backups.map((_, index) => Number(index === 0 || index === 27)));
  expect(backups).toEqual(missed.map((count) => 1 - count));
});
