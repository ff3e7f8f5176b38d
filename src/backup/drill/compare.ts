/** What a drill compares: what our own reader says of the restored database, and what a running etcd says of it. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { KeyReader } from '../../bolt/key-reader.ts';
import type { StoredKey } from '../../bolt/keys.ts';
import type { DatabaseReport } from '../../bolt/report.ts';
import { analyseInWorker } from '../../bolt/worker-client.ts';
import { type KeyValue, range } from '../../etcd/kv.ts';
import { leaseList } from '../../etcd/leases.ts';
import { GranaryError } from '../../model/errors.ts';
import type { Manifest } from '../../model/generated/manifest.ts';
import { formatCount } from '../../model/units.ts';
import type { CallOptions } from '../../store/store.ts';
import { callMs, type ScratchServer } from './server.ts';

/** Keys whose value is asked for one by one; what all of them are is HashKV's to say. */
const sampleKeys = 64;

/** What a restored database holds by our own reader, and so must hold by etcd's. */
export interface Expected {
  readonly report: DatabaseReport;
  /** null: it cannot be computed. */
  readonly hash: number | null;
  readonly sample: readonly SampledKey[];
}

interface SampledKey {
  readonly key: Uint8Array;
  /** Of everything that etcd tells of a key, the value by its SHA-256. */
  readonly facts: string;
}

/** What was found equal. */
export interface Compared {
  readonly hashKV: { readonly hash: number; readonly revision: number; readonly compactRevision: number };
  readonly keys: number;
  readonly sampledKeys: number;
  /** Leases there are; null: some may have ended since etcd started, so they were not compared. */
  readonly leases: number | null;
  readonly authEnabled: boolean;
  readonly users: number;
}

/**
 * Reads a database back that a restore has written: sound, and still what the manifest says.
 * @param dataDir that no etcd has opened yet
 * @throws GranaryError `internal` where what our restore wrote is not what it was given
 */
export async function readBack(
  dataDir: string,
  manifest: Manifest,
  restored: DatabaseReport,
  { signal }: CallOptions,
): Promise<Expected> {
  await using file = await open(join(dataDir, 'member', 'snap', 'db'), 'r');
  const { size } = await file.stat();
  const report = await analyseInWorker(file.fd, size, {}, { signal });
  const [problem] = report.problems;
  const wrong =
    problem?.message ??
    difference([
      ['revision', manifest.etcd.revision, report.revision],
      ['live keys', manifest.etcd.keys, report.keys],
      ['leases', restored.leases, report.leases],
      ['authentication', restored.authEnabled, report.authEnabled],
      ['members', 1, report.members.length],
    ]);
  if (wrong !== null)
    throw new GranaryError('internal', `the data directory written from it is not sound: ${wrong}`);
  const sample = await sampleOf(file.fd, size, report.keys, { signal });
  // What is looked at only once stays as it was read first.
  const { survey } = restored;
  const found = survey === undefined ? report : { ...report, survey };
  return { report: found, hash: report.hashKV?.hash ?? null, sample };
}

/** Keys from all over the key space, the first and the last among them. */
async function sampleOf(fd: number, size: number, keys: number, options: CallOptions): Promise<SampledKey[]> {
  if (keys === 0) return [];
  const step = Math.max(1, (keys - 1) / (sampleKeys - 1));
  const sample: SampledKey[] = [];
  await using reader = new KeyReader(fd, size, { values: true }, options);
  let index = 0;
  for await (const key of reader.records()) {
    if (index >= Math.floor(sample.length * step)) sample.push({ key: key.key, facts: factsOf(key) });
    index += 1;
  }
  return sample;
}

/**
 * Asks a running etcd for all of it.
 * @param startedMs when etcd began to answer, by `performance.now`
 * @returns what was equal, or in words what was not
 * @throws GranaryError what the calls do
 */
export async function compareWithEtcd(
  { connection }: ScratchServer,
  expected: Expected,
  startedMs: number,
  { signal }: CallOptions,
): Promise<Compared | string> {
  const call = { signal, timeoutMs: callMs };
  const { report, hash } = expected;
  const { revision } = report;
  // First, while none can have ended.
  const leases = await compareLeases(connection, expected, startedMs, call);
  if (typeof leases === 'string') return leases;
  const all = { keys: { prefix: '' }, limit: 1, keysOnly: true } as const;
  const { revision: newest } = await range(connection, all, call);
  // A later one is of leases that have ended since.
  if (newest < revision) return `revision ${newest} instead of ${revision}`;
  // etcd 3.4 has no answer at a compaction's own revision, and one for "now" (reference "HashKV").
  const atNow = revision <= Math.max(1, report.compactRevision);
  const answer = await connection.hashKV(atNow ? 0 : revision, call);
  const { count } = await range(connection, { ...all, revision }, call);
  const wrong = difference([
    ['HashKV is of revision', revision, answer.hashRevision],
    ['HashKV is computed since revision', report.compactRevision, answer.compactRevision],
    ['HashKV', hash, answer.hash],
    ['live keys', report.keys, count],
  ]);
  if (wrong !== null) return wrong;
  for (const { key, facts } of expected.sample) {
    const { kvs } = await range(connection, { keys: { key }, revision }, call);
    const [found] = kvs;
    if (found === undefined || factsOf(found) !== facts) {
      // A key's name may be a secret itself.
      const name = createHash('sha256').update(key).digest('hex').slice(0, 12);
      return `a key (SHA-256 of its name ${name}…) ${found === undefined ? 'is missing' : 'differs'}`;
    }
  }
  const authEnabled = await connection.authEnabled(call);
  const users = await connection.users(call);
  const known = report.survey?.users ?? [];
  const missing = known.find((name) => !users.includes(name));
  if (missing !== undefined) return `the user ${missing} is missing`;
  const differs = difference([['authentication', report.authEnabled, authEnabled]]);
  if (differs !== null) return differs;
  const { compactRevision } = answer;
  return {
    hashKV: { hash: answer.hash, revision, compactRevision },
    keys: count,
    sampledKeys: expected.sample.length,
    leases,
    authEnabled,
    users: users.length,
  };
}

/** How many there are; null where it cannot be said; in words what is wrong. */
async function compareLeases(
  connection: ScratchServer['connection'],
  { report }: Expected,
  startedMs: number,
  call: CallOptions & { readonly timeoutMs: number },
): Promise<number | string | null> {
  const { length: found } = await leaseList(connection, call);
  if (found === report.leases) return found;
  // etcd gives each its full time anew when it starts, and ends those first that had the least.
  const seconds = (performance.now() - startedMs) / 1_000;
  const shortest = report.survey?.leases.shortest ?? null;
  if (found < report.leases && shortest !== null && shortest <= seconds + 1) return null;
  return `leases ${formatCount(found)} instead of ${formatCount(report.leases)}`;
}

type Pair = readonly [what: string, expected: number | boolean | null, found: number | boolean | null];

/** The first that differs, in words. */
function difference(pairs: readonly Pair[]): string | null {
  const found = pairs.find(([, expected, is]) => expected !== is);
  if (found === undefined) return null;
  const [what, expected, is] = found.map((one) =>
    typeof one === 'boolean' ? (one ? 'on' : 'off') : typeof one === 'number' ? String(one) : one,
  );
  return `${what} ${is} instead of ${expected}`;
}

function factsOf(key: KeyValue | StoredKey): string {
  const value = createHash('sha256')
    .update(key.value ?? '')
    .digest('hex');
  const lease = 'leaseId' in key ? (key.leaseId ?? '0') : key.lease.toString(16);
  return [value, key.createRevision, key.modRevision, key.version, lease].join(' ');
}
