/**
 * What a backup costs beside what others take for it: `npm run bench:backup -- --keys 60000 --value-bytes 8200 --runs 5`.
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
import { type EtcdVersion, etcdVersions, startEtcd } from '../test/servers/etcd.ts';
import { fillEtcd } from '../test/servers/keys.ts';
import { type MinioServer, startMinio } from '../test/servers/minio.ts';
import { type TempFolder, tempFolder } from '../test/servers/temp.ts';
import { tool } from '../test/servers/tools.ts';
import { bucket, writeConfiguration } from './backup/configuration.ts';
import { hasGnuTime, type Measured, measure } from './backup/measure.ts';
import { type BenchResult, type RowResult, tableOf } from './backup/report.ts';
import { startCountingProxy } from './backup/requests.ts';
import { granaryBackup, publishedBytes, type Row, type RowName, rowsOf } from './backup/rows.ts';
import { ratios } from './backup/statistics.ts';
import { buildPackage, machine, root, wholeNumber } from './surroundings.ts';

const run = promisify(execFile);
/** About 20 MB of database, for the count of requests. */
const smallKeys = 2_000;

interface Options {
  readonly keys: number;
  readonly valueBytes: number;
  readonly rounds: number;
  readonly version: EtcdVersion;
  /** Another build to measure; undefined: this one, built anew. */
  readonly cli: string | undefined;
  readonly out: string;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      keys: { type: 'string', default: '60000' },
      'value-bytes': { type: 'string', default: '8200' },
      runs: { type: 'string', default: '5' },
      etcd: { type: 'string', default: '3.5' },
      cli: { type: 'string' },
      out: { type: 'string', default: join(root, 'bench', 'results', 'backup.json') },
    },
  });
  const version = etcdVersions.find((one) => one === values.etcd);
  if (version === undefined) throw new Error(`--etcd takes ${etcdVersions.join(', ')}`);
  const { keys, runs, cli, out } = values;
  return {
    keys: wholeNumber('--keys', keys),
    valueBytes: wholeNumber('--value-bytes', values['value-bytes']),
    rounds: wholeNumber('--runs', runs),
    version,
    cli,
    out,
  };
}

/** One warm-up, then round after round; each row's runs in order. */
async function measureRows(
  rows: readonly Row[],
  rounds: number,
  folder: TempFolder,
): Promise<Map<RowName, Measured[]>> {
  const measured = new Map<RowName, Measured[]>(rows.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const { name, command, check, clear } of rows) {
      // No row should wait for what the one before has left to be written.
      await run('sync');
      const taken = await measure(command, folder);
      check(taken.stdout);
      clear();
      const { seconds, peakBytes } = taken;
      const memory = peakBytes === null ? '' : `${(peakBytes / 2 ** 20).toFixed(0).padStart(6)} MiB`;
      console.error(
        `${round === 0 ? 'warm-up' : `round ${round}`} ${name.padEnd(16)} ${seconds.toFixed(2)} s ${memory}`,
      );
      if (round > 0) measured.get(name)?.push(taken);
    }
  }
  return measured;
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

async function main(): Promise<void> {
  const options = readOptions();
  const { keys, valueBytes, version, rounds } = options;
  const cli = options.cli ?? join(await buildPackage(), 'cli', 'main.js');
  using folder = tempFolder('bench');
  await using minio = await startMinio();
  await minio.createBucket(bucket);
  const requests = await countRequests(version, minio, cli);
  await using etcd = await startEtcd({ version, extraArgs: ['--quota-backend-bytes', String(2 ** 33)] });
  await fillEtcd(etcd, { keys, valueBytes });
  const configuration = await writeConfiguration(folder, etcd, minio);
  const rows = rowsOf({ folder, etcd, minio, configuration, cli });
  const before = machine();
  const measured = await measureRows(rows, rounds, folder);
  const last = publishedBytes(measured.get('granary-bucket')?.at(-1)?.stdout ?? '');
  const result: BenchResult = {
    date: new Date().toISOString(),
    command: `npm run bench:backup -- --keys ${keys} --value-bytes ${valueBytes} --runs ${rounds} --etcd ${version}`,
    machine: before,
    versions: {
      node: process.version,
      etcd: (await etcd.etcdctl('version')).split('\n')[0]?.replace('etcdctl version: ', '') ?? version,
      minio: catalogue.minio.version,
      rclone: catalogue.rclone.version,
      zstd: /v([\d.]+)/.exec((await run('zstd', ['--version'])).stdout)?.[1] ?? 'unknown',
    },
    database: { keys, valueBytes, snapshotBytes: last.snapshot, storedBytes: last.stored },
    rounds,
    rows: resultsOf(rows, measured),
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
  console.log(tableOf(result));
  console.error(`written to ${options.out}`);
}

await main();
