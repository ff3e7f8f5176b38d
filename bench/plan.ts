/**
 * Plan for 5,000 clusters with 100 backups each, from an inventory file: 500,000 copies. Target: <= 2 s and <= 512 MiB,
 * reading the file counted. The file is made by another process, so that its memory is none of this one's.
 * `node bench/plan.ts [clusters] [backups] [last]`: by default 4 of the 100 go; with `last` 1 nearly half of them do.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ulid } from 'ulid';
import { formatInventory, parseInventory } from '../src/catalog/inventory-file.ts';
import { chunksOf } from '../src/execute/inventory-file.ts';
import type { Cluster, Desired, Keep } from '../src/model/config.ts';
import type { Copy, Inventory } from '../src/model/inventory.ts';
import { type Attempt, type Slot, slotOf } from '../src/model/names.ts';
import { asApplied } from '../src/plan/applied.ts';
import { makePlan } from '../src/plan/plan.ts';
import { slotMilliseconds } from '../src/plan/retention.ts';
import { folderNamed, policyNamed, position, repositoryNamed, seedNamed } from '../test/config/objects.ts';
import { copyOf, inventoryOf, now, options, read } from '../test/plan/fixtures.ts';

const clusterCount = Number(process.argv[2] ?? 5_000);
const backupCount = Number(process.argv[3] ?? 100);
const last = Number(process.argv[4] ?? 95);

function makeDesired(): Desired {
  const keep: Keep = {
    last,
    hourly: 48,
    daily: 7,
    weekly: 5,
    monthly: 12,
    yearly: 3,
    withinMs: 48 * 3_600_000,
    timeZone: 'Europe/Prague',
  };
  const clusters = Array.from({ length: clusterCount }, (_, index): Cluster => {
    const name = `cluster-${index}`;
    return {
      name,
      labels: {},
      enabled: true,
      endpoints: ['http://10.0.0.1:2379'],
      tls: null,
      auth: null,
      position,
    };
  });
  const seed = seedNamed('bench', { clusters });
  const destination = folderNamed('store', '/backups');
  const policy = policyNamed('hourly', {
    schedule: { cron: '0 * * * *', timeZone: 'Europe/Prague', jitterMs: 120_000, startingDeadlineMs: null },
    destinations: [{ name: 'store', keep: null, backfill: false }],
    keep,
  });
  const repository = repositoryNamed('bench');
  return {
    commit: null,
    configuration: {
      seeds: [seed],
      destinations: [destination],
      credentials: [],
      policies: [policy],
      repository,
      diagnostics: [],
      files: 1,
    },
    assignments: clusters.map((cluster) => ({
      seed,
      cluster,
      policy,
      destinations: [{ destination, keep, backfill: false }],
      leftOut: [],
      skipped: null,
    })),
  };
}

function makeInventory(desired: Desired): Inventory {
  const slots = Array.from({ length: backupCount }, (_, index) =>
    slotOf(new Date(Date.UTC(2026, 10, 21, 13) - index * 3_600_000)),
  ).reverse();
  const copies = desired.assignments.flatMap(({ cluster }, index) =>
    slots.map((slot, at): Copy => storedCopy(cluster.name, slot, index * backupCount + at)),
  );
  return inventoryOf(read('store', copies, { url: 'file:///backups', markerId: null }));
}

/** As a listing shows one on S3: no text of it is that of another, slots aside. */
function storedCopy(cluster: string, slot: Slot, number: number): Copy {
  const digest = createHash('sha256').update(String(number)).digest('hex');
  const written = slotMilliseconds(slot) + 1_000 * (2 + (number % 117));
  return copyOf(cluster, slot, {
    seed: 'bench',
    attempt: ulid(written, () => Number.parseInt(digest.slice(0, 8), 16) / 2 ** 32) as Attempt,
    storedBytes: 90_000_000 + (number % 9_973) * 811,
    published: new Date(written + 2_000).toISOString(),
    manifestEtag: `"${digest.slice(0, 32)}"`,
    proofs: [{ kind: 'hashkv', ok: true, time: `${new Date(written).toISOString().slice(0, 19)}Z` }],
  });
}

const mebibytes = (bytes: number): number => Math.round(bytes / 2 ** 20);
const desired = makeDesired();

if (process.env.GRANARY_BENCH_WRITE !== undefined) {
  const file = { ...makeInventory(desired), repositoryId: null, seed: null };
  for (const piece of formatInventory(file)) writeSync(1, piece);
  process.exit(0);
}

const folder = mkdtempSync(join(tmpdir(), 'granary-bench-'));
const file = join(folder, 'inventory.json');
try {
  const { status } = spawnSync(
    'bash',
    ['-c', 'exec "$@" > "$FILE"', 'bash', process.execPath, ...process.argv.slice(1)],
    {
      env: { ...process.env, GRANARY_BENCH_WRITE: '1', FILE: file },
      stdio: 'inherit',
    },
  );
  if (status !== 0) throw new Error('the inventory could not be made');
  const before = mebibytes(process.memoryUsage.rss());
  const started = performance.now();
  const cpu = process.cpuUsage();
  const inventory = await parseInventory(chunksOf(file, new AbortController().signal));
  const readCpu = process.cpuUsage(cpu);
  const readMilliseconds = Math.round(performance.now() - started);
  const plan = makePlan(desired, { applied: asApplied(desired, now), inventory }, now, options);
  const milliseconds = Math.round(performance.now() - started);
  console.log(
    JSON.stringify({
      clusters: clusterCount,
      backups: backupCount,
      last,
      fileMiB: mebibytes(statSync(file).size),
      readMilliseconds,
      milliseconds,
      // Where other work runs beside it, this is what it takes itself, the collector's threads counted.
      readCpuMilliseconds: Math.round((readCpu.user + readCpu.system) / 1_000),
      cpuMilliseconds: Math.round((process.cpuUsage(cpu).user + process.cpuUsage(cpu).system) / 1_000),
      rssBeforeMiB: before,
      peakRssMiB: mebibytes(process.resourceUsage().maxRSS * 1_024),
      actions: plan.actions.length,
      summary: plan.summary,
    }),
  );
} finally {
  rmSync(folder, { recursive: true });
}
