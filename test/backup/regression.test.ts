import { describe, expect, test } from 'vitest';
import { type Present, regressionMarks } from '../../src/backup/regression.ts';

const before = { backup: 'eu/prod/hourly/20261121T130000Z', clusterId: 'cafe', revision: 1_000, keys: 500 };
const same: Present = { clusterId: 'cafe', revision: 1_000, keys: 500, clusterRevision: 1_000 };
const kinds = (now: Partial<Present>, was: Partial<typeof before> = {}) =>
  regressionMarks({ ...before, ...was }, { ...same, ...now }).map(({ kind }) => kind);

describe('a step back', () => {
  test('is none where a cluster goes on, stands still, or has no backup yet', () => {
    expect(kinds({})).toEqual([]);
    expect(kinds({ revision: 2_000, clusterRevision: 2_000, keys: 51 })).toEqual([]);
    expect(regressionMarks(null, same)).toEqual([]);
  });

  test('is another cluster, a lower revision, nine of ten keys gone', () => {
    expect(kinds({ clusterId: 'beef' })).toEqual(['cluster-id']);
    expect(kinds({ revision: 999, clusterRevision: 999 })).toEqual(['revision']);
    expect(kinds({ keys: 50 })).toEqual(['keys']);
    expect(kinds({ clusterId: 'beef', revision: 1, clusterRevision: 1, keys: 0 })).toEqual([
      'cluster-id',
      'revision',
      'keys',
    ]);
    expect(regressionMarks(before, { ...same, clusterId: 'beef' })).toEqual([
      { kind: 'cluster-id', before: 'cafe', after: 'beef' },
    ]);
  });

  test('is none where the member that sent was a little behind the others', () => {
    expect(kinds({ revision: 990, clusterRevision: 1_004 })).toEqual([]);
  });

  test('is none where there were hardly any keys', () => {
    expect(kinds({ keys: 0 }, { keys: 9 })).toEqual([]);
    expect(kinds({ keys: 1 }, { keys: 10 })).toEqual(['keys']);
    expect(kinds({ keys: 2 }, { keys: 10 })).toEqual([]);
  });
});
