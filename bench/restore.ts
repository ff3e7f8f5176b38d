/**
 * What a restore costs beside what others take for it: `npm run bench:restore -- --runs 5`; `--large` is 2 GB.
 *
 * One backup, compressed and encrypted, in a real MinIO; its etcd is stopped before anything is measured. All rows are
 * measured in turn, round after round, so that what else the machine does hits them alike: the ratios of a round count.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { catalogue } from '../test/servers/catalogue.ts';
import { type EtcdVersion, etcdVersions, startEtcd } from '../test/servers/etcd.ts';
import { fillEtcd } from '../test/servers/keys.ts';
import { type MinioServer, startMinio } from '../test/servers/minio.ts';
import { type TempFolder, tempFolder } from '../test/servers/temp.ts';
import { tool } from '../test/servers/tools.ts';
import { bucket, writeConfiguration } from './backup/configuration.ts';
import { hasGnuTime, type Measured, measure } from './backup/measure.ts';
import { ratio, spread } from './backup/report.ts';
import { granaryBackup, publishedBytes } from './backup/rows.ts';
import { ratios, type Spread, spreadOf } from './backup/statistics.ts';
import { type Row, type RowName, rowsOf, type Surroundings } from './restore/rows.ts';
import { buildProgram, machine, root, wholeNumber } from './surroundings.ts';

const run = promisify(execFile);

interface RowResult {
  readonly name: RowName;
  readonly title: string;
  readonly seconds: readonly number[];
  readonly cpuSeconds: readonly number[];
  readonly peakBytes: readonly number[];
  /** To its own base, and to the slower of the two floors, round by round. */
  readonly toBase: Spread | null;
  readonly toFloor: Spread | null;
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      large: { type: 'boolean', default: false },
      'value-bytes': { type: 'string', default: '8200' },
      runs: { type: 'string', default: '5' },
      etcd: { type: 'string', default: '3.5' },
      out: { type: 'string' },
    },
  });
  const version = etcdVersions.find((one) => one === values.etcd);
  if (version === undefined || version === '3.4') throw new Error('--etcd takes 3.5, 3.6');
  const name = values.large ? 'restore-large.json' : 'restore.json';
  return {
    version,
    large: values.large,
    keys: values.large ? 200_000 : 60_000,
    valueBytes: wholeNumber('--value-bytes', values['value-bytes']),
    rounds: wholeNumber('--runs', values.runs),
    out: values.out ?? join(root, 'bench', 'results', name),
  };
}

/** Fills an etcd, backs it up into MinIO and into a plain file, and stops it. */
async function prepare(
  folder: TempFolder,
  minio: MinioServer,
  cli: string,
  options: { readonly version: EtcdVersion; readonly keys: number; readonly valueBytes: number },
): Promise<{ surroundings: Surroundings; storedBytes: number }> {
  const { version, keys, valueBytes } = options;
  await using etcd = await startEtcd({ version, extraArgs: ['--quota-backend-bytes', String(2 ** 33)] });
  await fillEtcd(etcd, { keys, valueBytes });
  const configuration = await writeConfiguration(folder, etcd, minio);
  const { stdout } = await measure(granaryBackup(cli, configuration, 'sealed'), folder);
  const [{ id = '' } = {}] = (JSON.parse(stdout) as { results: { id?: string }[] }).results;
  const { Contents = [] } = await minio.client.send(new ListObjectsV2Command({ Bucket: bucket }));
  const dataKey = Contents.find(({ Key = '' }) => Key.includes('/data-'))?.Key ?? '';
  const keyFile = folder.join('age.key');
  writeFileSync(keyFile, `${configuration.keys.identity}\n`, { mode: 0o600 });
  const snapshot = folder.join('snapshot.db');
  const restore = ['restore', id, '--to', snapshot, '--path', configuration.path, '--age-key-file', keyFile];
  await run(process.execPath, [cli, ...restore]);
  const surroundings = { folder, version, minio, cli, backup: id, dataKey, keyFile, snapshot };
  return { surroundings, storedBytes: publishedBytes(stdout).stored };
}

async function measureRows(rows: readonly Row[], rounds: number, folder: TempFolder) {
  const measured = new Map<RowName, Measured[]>(rows.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const { name, command, check, clear } of rows) {
      // No row should wait for what the one before has left to be written.
      await run('sync');
      const taken = await measure(command, folder);
      check();
      clear();
      const memory = taken.peakBytes === null ? '' : `${(taken.peakBytes / 2 ** 20).toFixed(0)} MiB`;
      console.error(`round ${round} ${name.padEnd(18)} ${taken.seconds.toFixed(2)} s ${memory}`);
      if (round > 0) measured.get(name)?.push(taken);
    }
  }
  return measured;
}

function resultsOf(rows: readonly Row[], measured: ReadonlyMap<RowName, Measured[]>): RowResult[] {
  const of = (name: RowName) => measured.get(name) ?? [];
  const secondsOf = (name: RowName) => of(name).map(({ seconds }) => seconds);
  const disk = secondsOf('disk');
  const store = secondsOf('store');
  const floor = disk.map((seconds, round) => Math.max(seconds, store[round] ?? 0));
  return rows.map(({ name, title, base }) => ({
    name,
    title,
    seconds: secondsOf(name),
    cpuSeconds: of(name).flatMap(({ cpuSeconds }) => cpuSeconds ?? []),
    peakBytes: of(name).flatMap(({ peakBytes }) => peakBytes ?? []),
    toBase: base === null || secondsOf(base).length === 0 ? null : ratios(secondsOf(name), secondsOf(base)),
    toFloor: name === 'disk' || name === 'store' ? null : ratios(secondsOf(name), floor),
  }));
}

function tableOf(rows: readonly RowResult[]): string {
  const lines = rows.map(({ title, seconds, cpuSeconds, peakBytes, toBase, toFloor }) =>
    [
      title,
      spread(seconds, (value) => value.toFixed(2)),
      ratio(toBase),
      ratio(toFloor),
      cpuSeconds.length === 0 ? '–' : spreadOf(cpuSeconds).median.toFixed(2),
      peakBytes.length === 0 ? '–' : `${Math.ceil(Math.max(...peakBytes) / 2 ** 20)}`,
    ].join(' | '),
  );
  const head = [
    '| | seconds | x its counterpart | x slower floor | CPU s | peak MiB |',
    '|---|---|---|---|---|---|',
  ];
  return [...head, ...lines.map((line) => `| ${line} |`)].join('\n');
}

async function main(): Promise<void> {
  const options = readOptions();
  const { version, keys, valueBytes, rounds, large, out } = options;
  const cli = await buildProgram();
  using folder = tempFolder('bench-restore');
  await using minio = await startMinio();
  await minio.createBucket(bucket);
  const { surroundings, storedBytes } = await prepare(folder, minio, cli, options);
  const rows = rowsOf(surroundings);
  const before = machine();
  const results = resultsOf(rows, await measureRows(rows, rounds, folder));
  const result = {
    date: new Date().toISOString(),
    command: `npm run bench:restore -- --runs ${rounds} --etcd ${version}${large ? ' --large' : ''}`,
    machine: before,
    versions: {
      node: process.version,
      etcd: version,
      minio: catalogue.minio.version,
      rclone: catalogue.rclone.version,
    },
    database: { keys, valueBytes, snapshotBytes: statSync(surroundings.snapshot).size, storedBytes },
    rounds,
    rows: results,
    missing: [
      ...(tool('rclone') === undefined
        ? [
            'the script and the store alone, because rclone is not installed (`node test/servers/install.ts --for bench`)',
          ]
        : []),
      ...(hasGnuTime() ? [] : ['CPU time and memory, because GNU time is not installed (Debian: `time`)']),
    ],
  };
  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(out, `${JSON.stringify(result, null, 2)}\n`);
  console.log(tableOf(results));
  for (const what of result.missing) console.log(`Not measured: ${what}.`);
  console.error(`written to ${out}`);
}

await main();
