/**
 * What `granary prune` (dry-run) takes where one destination holds 100,000 backups: `npm run bench:prune`
 * (`--backups 100000 --clusters 100 --runs 3`). Targets: at most 10 s after the last page of the listing, 256 MiB, one
 * listing request for 1,000 keys, and no request for a backup that stays.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { nodeEnvironment, nodeFlags } from '../build/bundle.ts';
import { writeApplied } from '../src/catalog/applied.ts';
import { buildKey, parseKey } from '../src/catalog/keys.ts';
import { planSeed } from '../src/execute/plan.ts';
import { openWorkspace } from '../src/execute/workspace.ts';
import { openSource } from '../src/git/source.ts';
import { type ObjectKey, slotOf } from '../src/model/names.ts';
import { asApplied } from '../src/plan/applied.ts';
import { loadIdentities } from '../src/secrets/identities.ts';
import { attempt } from '../test/catalog/helpers.ts';
import { Fleet } from '../test/cli/fleet.ts';
import { measure } from './backup/measure.ts';
import { startListingServer } from './prune/listing-server.ts';
import { buildProgram, type Machine, machine, root, wholeNumber } from './surroundings.ts';

interface Row {
  readonly title: string;
  readonly removals: number;
  readonly secondsAfterListing: readonly number[];
  readonly secondsInAll: readonly number[];
  readonly peakMiB: readonly number[];
  readonly requests: Readonly<Record<string, number>>;
  /** Requests about objects of backups that no removal is about. */
  readonly aboutKept: number;
}

interface PruneResult {
  readonly date: string;
  readonly command: string;
  readonly machine: Machine;
  readonly node: string;
  readonly backups: number;
  readonly clusters: number;
  readonly keys: number;
  readonly rows: readonly Row[];
}

const { signal } = new AbortController();
const bucket = 'bench';
const { values } = parseArgs({
  options: {
    backups: { type: 'string', default: '100000' },
    clusters: { type: 'string', default: '100' },
    runs: { type: 'string', default: '3' },
  },
});
const backups = wholeNumber('--backups', values.backups);
const clusters = wholeNumber('--clusters', values.clusters);
const runs = wholeNumber('--runs', values.runs);
const perCluster = Math.ceil(backups / clusters);
const names = Array.from({ length: clusters }, (_, index) => `c-${String(index).padStart(4, '0')}`);

/** Data, manifest and proof of each, in the order of a listing. */
function keysOf(newest: number): string[] {
  return names.flatMap((cluster) =>
    Array.from({ length: perCluster }, (_, index) => {
      const slot = slotOf(new Date(newest - (perCluster - 1 - index) * 3_600_000));
      const ref = { seed: 'eu', cluster, policy: 'hourly', slot };
      return [
        buildKey({ type: 'data', ...ref, attempt: attempt(), compression: 'zstd', encrypted: false }),
        buildKey({ type: 'manifest', ...ref, attempt: null }),
        buildKey({ type: 'proof', ...ref, time: new Date(newest), kind: 'hashkv', ok: true }),
      ];
    }).flat(),
  );
}

const newest = Math.floor(Date.now() / 3_600_000) * 3_600_000;
const keys = keysOf(newest);
const program = await buildProgram();

async function rowOf(title: string, keep: object): Promise<Row> {
  // A bucket of its own: what was last applied to one row is not what the next has.
  await using server = await startListingServer(bucket, keys);
  using fleet = await Fleet.make({ endpoints: ['http://127.0.0.1:9'], destinations: {} });
  fleet.write('Seed', 'eu', {
    clusters: names.map((name) => ({ name, endpoints: ['http://127.0.0.1:9'] })),
  });
  fleet.write('Destination', 'store', {
    ...{ provider: 's3', bucket, region: 'us-east-1', endpoint: server.endpoint, forcePathStyle: true },
    credential: 'store-key',
  });
  fleet.seal('store-key', 's3', { accessKeyId: 'bench', secretAccessKey: 'bench-secret' });
  fleet.writePolicy('hourly', { schedule: { cron: '0 * * * *' }, destinations: ['store'], keep });
  const planned = await applied(fleet);
  const kept = keptIn(planned);
  const [after, all, peak]: [number[], number[], number[]] = [[], [], []];
  for (let run = 0; run < runs; run += 1) {
    server.reset();
    const { PATH } = process.env;
    const began = performance.now();
    const ran = await measure(
      {
        file: process.execPath,
        args: [...nodeFlags, program, 'prune', ...fleet.opened],
        env: { PATH, HOME: fleet.temp, TMPDIR: fleet.temp, ...nodeEnvironment },
      },
      fleet.folder,
    );
    const ended = performance.now();
    after.push((ended - server.asked.listedAt) / 1_000);
    all.push((ended - began) / 1_000);
    peak.push((ran.peakBytes ?? Number.NaN) / 2 ** 20);
  }
  const { requests } = server.asked;
  return {
    title,
    removals: planned.plan.actions.filter(({ type }) => type === 'tombstone').length,
    secondsAfterListing: after,
    secondsInAll: all,
    peakMiB: peak,
    requests: Object.fromEntries(
      [...Map.groupBy(requests, ({ method }) => method)].map(([method, made]) => [method, made.length]),
    ),
    aboutKept: requests.filter(({ method, key }) => method !== 'LIST' && kept(key)).length,
  };
}

/** What was applied last is what is configured, so that no guard stands before the removals. */
async function applied(fleet: Fleet) {
  const source = await openSource({ path: fleet.config }, { signal });
  const identities = await loadIdentities({ files: [fleet.keyFile], env: {} });
  await using workspace = await openWorkspace(source, { identities });
  const destination = workspace.desired.configuration.destinations[0];
  if (destination === undefined) throw new Error('there is no destination');
  await workspace.destinations.openForWriting(destination, { signal });
  const now = new Date();
  const planned = await planSeed(workspace, 'eu', { signal, now });
  const { desired, sources, inventory } = planned;
  const markers = Object.fromEntries(
    inventory.destinations.flatMap((one) => (one.status === 'read' ? [[one.name, one.markerId ?? '']] : [])),
  );
  await writeApplied(sources, 'eu', { ...asApplied(desired, now), serial: 1, markers }, planned.applied, {
    signal,
  });
  return planned;
}

function keptIn({ plan }: Awaited<ReturnType<typeof applied>>): (key: string) => boolean {
  const going = new Set(plan.actions.map(({ cluster, slot }) => `${cluster}/${slot}`));
  return (key) => {
    const parsed = parseKey(key as ObjectKey);
    return 'slot' in parsed && !going.has(`${parsed.cluster}/${parsed.slot}`);
  };
}

const rows = [
  await rowOf('1 in 100 goes', { last: Math.floor(perCluster * 0.99) }),
  await rowOf('most go', { last: 24, hourly: 24, daily: 7, weekly: 4, monthly: 12 }),
];
const result: PruneResult = {
  date: new Date().toISOString().slice(0, 10),
  command: `npm run bench:prune -- --backups ${backups} --clusters ${clusters} --runs ${runs}`,
  machine: machine(),
  node: process.version,
  ...{ backups: perCluster * clusters, clusters, keys: keys.length, rows },
};
const file = join(root, 'bench', 'results', 'prune.json');
mkdirSync(dirname(file), { recursive: true });
writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
console.log(JSON.stringify(result, null, 2));
