/**
 * What a backup costs beside what others take for it: `npm run bench:backup -- --sizes 50,600,2000 --runs 3`.
 * The chart of the documentation: `--chart docs/images/benchmark-backup.svg`.
 *
 * A real etcd and a real MinIO run beside; all rows are measured in turn, round after round, so that what else the
 * machine does hits them alike. The ratios of a round count, the seconds are of one machine. Data of etcd and MinIO,
 * the saved files and Granary's spool all lie on the disk of TMPDIR.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { catalogue } from '../test/servers/catalogue.ts';
import { type EtcdVersion, etcdVersions, startEtcd, toolOf } from '../test/servers/etcd.ts';
import { fillEtcd } from '../test/servers/keys.ts';
import { type MinioServer, startMinio } from '../test/servers/minio.ts';
import { type TempFolder, tempFolder } from '../test/servers/temp.ts';
import { requireTool, tool } from '../test/servers/tools.ts';
import { chartOf } from './backup/chart.ts';
import { bucket, writeConfiguration } from './backup/configuration.ts';
import { hasGnuTime, type Measured, measure } from './backup/measure.ts';
import type { Phases } from './backup/phases.ts';
import { type BenchResult, type RowResult, type SizeResult, tablesOf } from './backup/report.ts';
import { startCountingProxy } from './backup/requests.ts';
import {
  clearStore,
  granaryBackup,
  phasesOf,
  publishedBytes,
  type Row,
  type RowName,
  rowsOf,
  type Surroundings,
} from './backup/rows.ts';
import { ratios } from './backup/statistics.ts';
import { buildProgram, buildScript, machine, root, wholeNumber } from './surroundings.ts';

const run = promisify(execFile);
/** About 20 MB of database, for the count of requests. */
const smallKeys = 2_000;

interface Options {
  /** Keys of each database. */
  readonly keys: readonly number[];
  readonly sizes: string;
  readonly valueBytes: number;
  readonly rounds: number;
  readonly version: EtcdVersion;
  /** Another build to measure; undefined: this one, built anew. */
  readonly cli: string | undefined;
  readonly out: string;
  /** Where the chart is written; undefined: nowhere. */
  readonly chart: string | undefined;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      sizes: { type: 'string', default: '50,600,2000' },
      'value-bytes': { type: 'string', default: '8200' },
      runs: { type: 'string', default: '3' },
      etcd: { type: 'string', default: '3.5' },
      cli: { type: 'string' },
      out: { type: 'string', default: join(root, 'bench', 'results', 'backup.json') },
      chart: { type: 'string' },
    },
  });
  const version = etcdVersions.find((one) => one === values.etcd);
  if (version === undefined) throw new Error(`--etcd takes ${etcdVersions.join(', ')}`);
  const { sizes, runs, cli, out, chart } = values;
  const valueBytes = wholeNumber('--value-bytes', values['value-bytes']);
  return {
    keys: sizes.split(',').map((megabytes) => keysFor(wholeNumber('--sizes', megabytes), valueBytes)),
    sizes,
    valueBytes,
    rounds: wholeNumber('--runs', runs),
    version,
    cli,
    out,
    chart,
  };
}

/** So many keys make a database of about this size: bbolt takes a quarter more than keys and values have. */
function keysFor(megabytes: number, valueBytes: number): number {
  return Math.round((megabytes * 1e6) / (valueBytes * 1.25));
}

/** Round after round; each row's runs in order. */
async function measureRows(
  rows: readonly Row[],
  rounds: number,
  folder: TempFolder,
): Promise<Map<RowName, Measured[]>> {
  const measured = new Map<RowName, Measured[]>(rows.map(({ name }) => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const row of rows) {
      const taken = await measureRow(row, folder);
      const { seconds, peakBytes } = taken;
      const memory = peakBytes === null ? '' : `${(peakBytes / 2 ** 20).toFixed(0).padStart(6)} MiB`;
      console.error(`round ${round} ${row.name.padEnd(16)} ${seconds.toFixed(2)} s ${memory}`);
      measured.get(row.name)?.push(taken);
    }
  }
  return measured;
}

async function measureRow({ command, check, clear }: Row, folder: TempFolder): Promise<Measured> {
  // No row should wait for what the one before has left to be written.
  await run('sync');
  const taken = await measure(command, folder);
  check(taken.stdout);
  clear();
  return taken;
}

function resultsOf(rows: readonly Row[], measured: ReadonlyMap<RowName, Measured[]>): RowResult[] {
  const secondsOf = (name: RowName) => measured.get(name)?.map(({ seconds }) => seconds) ?? [];
  const compare = (name: RowName, base: RowName) => {
    const bases = secondsOf(base);
    return name === base || name === 'save' || bases.length === 0 ? null : ratios(secondsOf(name), bases);
  };
  return rows.map(({ name, title }) => ({
    name,
    title,
    seconds: secondsOf(name),
    cpuSeconds: measured.get(name)?.flatMap(({ cpuSeconds }) => cpuSeconds ?? []) ?? [],
    peakBytes: measured.get(name)?.flatMap(({ peakBytes }) => peakBytes ?? []) ?? [],
    toSave: compare(name, 'save'),
    toScript: compare(name, 'script'),
  }));
}

/** What a backup of a small database asks a destination for that it has stored in before. */
async function countRequests(
  version: EtcdVersion,
  minio: MinioServer,
  cli: string,
): Promise<BenchResult['requests']> {
  using folder = tempFolder('bench-requests');
  await using etcd = await startEtcd({ version });
  await fillEtcd(etcd, { keys: smallKeys, valueBytes: 8_200 });
  await using proxy = await startCountingProxy(minio.endpoint);
  const configuration = await writeConfiguration(folder, etcd, minio, {
    endpoint: proxy.endpoint,
    prefix: 'requests',
  });
  const command = granaryBackup(cli, configuration, 'bucket');
  await measure(command, folder);
  proxy.take();
  const { stdout } = await measure(command, folder);
  return { snapshotBytes: publishedBytes(stdout).snapshot, operations: proxy.take() };
}

/** A database of one size: filled once, sent once before anything counts, then measured. */
async function measureSize(
  keys: number,
  { version, valueBytes, rounds }: Options,
  minio: MinioServer,
  built: Pick<Surroundings, 'cli' | 'phases'>,
): Promise<SizeResult> {
  using folder = tempFolder('bench');
  await using etcd = await startEtcd({ version, extraArgs: ['--quota-backend-bytes', String(2 ** 33)] });
  console.error(`filling an etcd with ${keys} keys`);
  await fillEtcd(etcd, { keys, valueBytes });
  const configuration = await writeConfiguration(folder, etcd, minio, { prefix: `keys-${keys}` });
  const surroundings = { folder, etcd, minio, configuration, ...built };
  const rows = rowsOf(surroundings);
  const warmUp = rows.filter(({ name }) => name === 'save' || name === 'granary-bucket');
  for (const row of warmUp) await measureRow(row, folder);
  const { loadAverage } = machine();
  const measured = await measureRows(rows, rounds, folder);
  const proof: Phases[] = [];
  for (let round = 1; round <= rounds; round++) {
    await run('sync');
    const { stdout } = await measure(phasesOf(surroundings), folder);
    proof.push(JSON.parse(stdout));
    clearStore(folder);
  }
  const last = publishedBytes(measured.get('granary-bucket')?.at(-1)?.stdout ?? '');
  return {
    database: { keys, valueBytes, snapshotBytes: last.snapshot, storedBytes: last.stored },
    loadAverage,
    rows: resultsOf(rows, measured),
    proof,
  };
}

async function main(): Promise<void> {
  const options = readOptions();
  const { sizes, version, rounds } = options;
  const cli = options.cli ?? (await buildProgram());
  const built = { cli, phases: await buildScript('backup/phases.ts') };
  await using minio = await startMinio();
  await minio.createBucket(bucket);
  const before = machine();
  const requests = await countRequests(version, minio, cli);
  const measured: SizeResult[] = [];
  for (const keys of options.keys) measured.push(await measureSize(keys, options, minio, built));
  const etcdctl = await run(requireTool(toolOf(version), 'etcdctl'), ['version']);
  const result: BenchResult = {
    date: new Date().toISOString(),
    command: `npm run bench:backup -- --sizes ${sizes} --runs ${rounds} --etcd ${version}`,
    machine: before,
    versions: {
      node: process.version,
      etcd: etcdctl.stdout.split('\n')[0]?.replace('etcdctl version: ', '') ?? version,
      minio: catalogue.minio.version,
      rclone: catalogue.rclone.version,
      zstd: /v([\d.]+)/.exec((await run('zstd', ['--version'])).stdout)?.[1] ?? 'unknown',
    },
    rounds,
    sizes: measured,
    requests,
    missing: [
      ...(tool('rclone') === undefined
        ? ['the script, because rclone is not installed (`node test/servers/install.ts --for bench`)']
        : []),
      ...(hasGnuTime() ? [] : ['CPU time and memory, because GNU time is not installed (Debian: `time`)']),
    ],
  };
  mkdirSync(dirname(options.out), { recursive: true });
  writeFileSync(options.out, `${JSON.stringify(result, null, 2)}\n`);
  if (options.chart !== undefined) writeFileSync(options.chart, chartOf(result));
  console.log(tablesOf(result));
  console.error(`written to ${options.out}`);
}

await main();
