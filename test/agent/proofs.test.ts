import { expect, test } from 'vitest';
import { tallyProofs } from '../../src/agent/proofs.ts';
import { copyOf, inventoryOf, read, slot, unknown } from '../plan/fixtures.ts';

const proof = (kind: 'hashkv' | 'read' | 'drill', ok: boolean, time: string) => ({ kind, ok, time });

test('the newest proof that passed counts by kind, over all destinations; a bad one makes its copy damaged', () => {
  const old = copyOf('prod-a', slot('2026-11-21T12:00:00Z'), {
    proofs: [proof('hashkv', true, '2026-11-21T12:00:09Z'), proof('read', true, '2026-11-22T02:00:00Z')],
  });
  const newer = copyOf('prod-a', slot('2026-11-21T13:00:00Z'), {
    proofs: [proof('hashkv', true, '2026-11-21T13:00:09Z'), proof('read', false, '2026-11-22T02:01:00Z')],
  });
  const foreign = copyOf('prod-a', slot('2026-11-21T14:00:00Z'), {
    seed: 'another',
    proofs: [proof('drill', true, '2026-11-22T02:00:00Z')],
  });
  const inventory = inventoryOf(read('minio', [old, newer, foreign]), read('s3', [old]), unknown('dark'));
  const tallies = tallyProofs(inventory, old.seed);
  expect([...tallies.keys()]).toEqual([`prod-a/${old.policy}`]);
  const tally = tallies.get(`prod-a/${old.policy}`);
  expect(tally?.damaged).toBe(1);
  expect(Object.fromEntries(tally?.passed ?? [])).toEqual({
    hashkv: new Date('2026-11-21T13:00:09Z'),
    read: new Date('2026-11-22T02:00:00Z'),
  });
});
