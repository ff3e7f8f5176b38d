/** What is told before a cluster runs on a snapshot, each with its reason. */
import { beforeAll, describe, expect, test } from 'vitest';
import { membershipOf } from '../../src/backup/data-directory/membership.ts';
import {
  type NotesOptions,
  notesAbout,
  requireNotTooOld,
  suggestedQuota,
  targetVersion,
} from '../../src/backup/preflight.ts';
import { restoreFile } from '../../src/backup/restore-file.ts';
import type { DatabaseReport } from '../../src/bolt/report.ts';
import { describeWith } from '../servers/describe.ts';
import { startEtcd } from '../servers/etcd.ts';
import { tempFolder } from '../servers/temp.ts';

const GiB = 2 ** 30;
const plain: NotesOptions = { bump: 'auto', quota: 2 * GiB, version: { major: 3, minor: 6 } };

function report(changes: Partial<DatabaseReport> = {}): DatabaseReport {
  return {
    size: 1_000_000,
    sha256: null,
    trailer: 'ok',
    pageSize: 4096,
    sizeLaw: true,
    compactRevision: -1,
    finishedCompactRevision: -1,
    consistentIndex: 10,
    term: 2,
    storageVersion: '3.6.0',
    clusterVersion: '3.6.0',
    authEnabled: false,
    leases: 0,
    alarms: [],
    members: [],
    revision: 100,
    hashKV: null,
    hashKVReason: null,
    keys: 1,
    rows: 1,
    problems: [],
    problemCount: 0,
    survey: {
      kubernetes: false,
      encryptedWith: [],
      leases: { total: 0, withinMinute: 0, shortest: null },
      users: [],
    },
    ...changes,
  };
}

const survey = (changes: Partial<NonNullable<DatabaseReport['survey']>>) => {
  const base = report().survey;
  if (base === undefined) throw new Error('the report has a survey');
  return report({ survey: { ...base, ...changes } });
};

test('nothing is told where nothing is odd', () => {
  expect(notesAbout(report(), plain)).toEqual([]);
});

test.each([
  [report({ size: 3 * GiB }), 'quota', ['(3.0 GiB) is larger than the quota of 2.0 GiB', `${5 * GiB}`]],
  [report({ size: 1.8 * GiB }), 'quota', ['comes close to', 'soon refuse writes', `${3 * GiB}`]],
  [report({ alarms: [{ member: 'a', alarm: 'NOSPACE' }] }), 'alarm', ['NOSPACE', 'etcdctl alarm disarm']],
  [report({ alarms: [{ member: 'a', alarm: 'CORRUPT' }] }), 'alarm', ['CORRUPT', 'only after']],
  [report({ clusterVersion: '3.5.0', storageVersion: null }), 'version', ['version 3.5', 'etcd 3.6']],
  [survey({ users: ['root', 'app'] }), 'auth', ['is off', 'the users root, app']],
  [{ ...survey({ users: ['root'] }), authEnabled: true }, 'auth', ['is on', 'the user root']],
  [survey({ leases: { total: 3, withinMinute: 0, shortest: 90 } }), 'leases', ['3 leases start', '90 s']],
  [survey({ leases: { total: 3, withinMinute: 2, shortest: 5 } }), 'leases', ['2 end within a minute']],
  [survey({ kubernetes: true }), 'kubernetes', ['1,000,000,000', '--no-bump']],
  [
    survey({ encryptedWith: [{ provider: 'kms', key: 'vault-1', rows: 12 }] }),
    'encryption',
    ['12 values', 'provider kms, key vault-1', 'you also need that key'],
  ],
] as const)('%#: %s', (about, code, says) => {
  const notes = notesAbout(about, plain);
  expect(notes.map((note) => note.code)).toEqual([code]);
  for (const words of says) expect(notes[0]?.message).toContain(words);
});

test('a bump that somebody asked for is told, with what it does; none is told where no directory is made', () => {
  const bumped: NotesOptions = { ...plain, bump: 5_000 };
  expect(notesAbout(report(), bumped)).toEqual([
    {
      code: 'bump',
      message: 'revisions go up by 5,000 and older ones are marked compacted (--bump-revision)',
    },
  ]);
  expect(notesAbout(report(), { ...bumped, version: null })).toEqual([]);
  const [note, ...others] = notesAbout(survey({ kubernetes: true }), bumped);
  expect(others).toEqual([]);
  expect(note).toMatchObject({ code: 'kubernetes', message: expect.stringContaining('go up by 5,000') });
});

test('Kubernetes without a bump is warned of', () => {
  const [note] = notesAbout(survey({ kubernetes: true }), { ...plain, bump: 'off' });
  expect(note?.message).toContain('left as they are');
});

describe('the etcd that is to run on it', () => {
  const of = (clusterVersion: string | null, storageVersion: string | null = null) => ({
    clusterVersion,
    storageVersion,
  });
  test.each([
    ['the one given', { major: 3, minor: 6 }, '3.5.9', of('3.5.0'), { major: 3, minor: 6 }],
    ['else that of the backup', null, '3.5.33', of('3.5.0'), { major: 3, minor: 5 }],
    ['that of the backup where the data say nothing', null, '3.6.1', of(null), { major: 3, minor: 6 }],
    ['else what the data are of', null, null, of('3.4.0'), { major: 3, minor: 4 }],
    ['its storage, where that says more', null, null, of('3.5.0', '3.6.0'), { major: 3, minor: 6 }],
    [
      'of a cluster in mid upgrade the lower',
      { major: 3, minor: 5 },
      '3.6.1',
      of('3.5.0'),
      { major: 3, minor: 5 },
    ],
  ])('is %s', (_, given, source, facts, expected) => {
    expect(targetVersion(given, source, facts)).toEqual(expected);
  });

  test.each([
    [{ major: 3, minor: 4 }, '3.5.0', of('3.5.0')],
    [{ major: 3, minor: 5 }, null, of('3.5.0', '3.6.0')],
    [{ major: 3, minor: 5 }, '3.6.1', of(null)],
  ])('cannot be older than the data: %j', (given, source, facts) => {
    expect(() => targetVersion(given, source, facts)).toThrow(/cannot take over the data/);
  });

  test('is refused before anything is read only where no upgrade could have been under way', () => {
    expect(() => requireNotTooOld({ major: 3, minor: 5 }, '3.6.1')).not.toThrow();
    expect(() => requireNotTooOld({ major: 3, minor: 4 }, '3.6.1')).toThrow(/cannot take over the data/);
    expect(() => requireNotTooOld(null, '3.6.1')).not.toThrow();
  });
});

test('a quota leaves room', () => {
  expect(suggestedQuota(2 * GiB)).toBe(3 * GiB);
});

describeWith(['etcd-3.6'], 'a snapshot with an alarm', () => {
  const folder = tempFolder('preflight');
  const snapshot = folder.join('snapshot.db');
  beforeAll(async () => {
    await using server = await startEtcd({ version: '3.6', extraArgs: ['--quota-backend-bytes', '400000'] });
    const fill = async () => {
      for (let i = 0; i < 200; i += 1) await server.etcdctl('put', `key${i}`, 'v'.repeat(20_000));
    };
    await expect(fill()).rejects.toThrow(/database space exceeded/);
    await server.etcdctl('snapshot', 'save', snapshot);
    return () => folder.remove();
  });

  test('is restored, and says that writes are refused until it is disarmed', async () => {
    const member = { membership: membershipOf({}), etcdVersion: null, bump: 'off', quota: 2 * GiB } as const;
    const { notes } = await restoreFile(snapshot, folder.join('data'), member, {
      signal: new AbortController().signal,
      onWarning: () => {},
    });
    expect(notes.map(({ code }) => code)).toEqual(['alarm']);
  });
});
