/**
 * Up to and down from an S3 server, beside what others take: `npm run bench:stores -- --mb 600 --runs 5`.
 *
 * A real MinIO; Granary's driver, `rclone copyto` and lib-storage of the AWS SDK in turn, round after round, each a process
 * of its own. Ratios of a round count; a row's time is that of the whole process, and of those that run on Node also
 * without its start, which an agent pays once.
 */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseArgs, promisify } from 'node:util';
import { catalogue } from '../test/servers/catalogue.ts';
import { startMinio } from '../test/servers/minio.ts';
import { tempFolder } from '../test/servers/temp.ts';
import { type Measured, measure } from './backup/measure.ts';
import { ratio, spread } from './backup/report.ts';
import { startCountingProxy } from './backup/requests.ts';
import { ratios, type Spread } from './backup/statistics.ts';
import { bucket, type Client, clients, commandOf, type Direction, type Place } from './stores/rows.ts';
import { buildScript, machine, root, wholeNumber } from './surroundings.ts';

const run = promisify(execFile);
const directions: readonly Direction[] = ['up', 'down'];

interface Row {
  readonly client: Client;
  readonly direction: Direction;
  readonly seconds: number[];
  /** Without the start of the process; of rclone there is no such figure, so the whole. */
  readonly transferSeconds: number[];
  readonly cpuSeconds: number[];
  readonly peakBytes: number[];
}

/** Random bytes: nobody may gain by compressing them. */
async function makeFile(path: string, megabytes: number): Promise<string> {
  await using file = await open(path, 'w');
  const hash = createHash('sha256');
  for (let done = 0; done < megabytes; done += 1) {
    const block = randomBytes(1_000_000);
    hash.update(block);
    await file.write(block);
  }
  return hash.digest('hex');
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      mb: { type: 'string', default: '600' },
      runs: { type: 'string', default: '5' },
      out: { type: 'string', default: join(root, 'bench', 'results', 'stores.json') },
    },
  });
  const megabytes = wholeNumber('--mb', values.mb);
  const rounds = wholeNumber('--runs', values.runs);
  const script = await buildScript('stores/client.ts');
  using folder = tempFolder('bench-stores');
  await using minio = await startMinio();
  await minio.createBucket(bucket);
  const [file, back] = [folder.join('file'), folder.join('back')];
  const sum = await makeFile(file, megabytes);
  const place: Place = { minio, endpoint: minio.endpoint, script };
  const before = machine();
  const rows: Row[] = directions.flatMap((direction) =>
    clients.map((client) => ({
      client,
      direction,
      seconds: [],
      transferSeconds: [],
      cpuSeconds: [],
      peakBytes: [],
    })),
  );
  for (let round = 0; round <= rounds; round += 1) {
    for (const row of rows) {
      const { client, direction } = row;
      await run('sync');
      const taken = await measure(
        commandOf(client, direction, direction === 'up' ? file : back, place),
        folder,
      );
      if (direction === 'down') {
        if ((await sha256Of(back)) !== sum) throw new Error(`${client} brought back other bytes`);
        rmSync(back);
      }
      console.error(
        `${round === 0 ? 'warm-up' : `round ${round}`} ${client} ${direction} ${taken.seconds.toFixed(2)} s`,
      );
      if (round > 0) note(row, taken);
    }
  }
  const requests: Record<string, readonly string[]> = {};
  await using proxy = await startCountingProxy(minio.endpoint);
  for (const direction of directions) {
    for (const client of clients) {
      await measure(
        commandOf(client, direction, direction === 'up' ? file : back, {
          ...place,
          endpoint: proxy.endpoint,
        }),
        folder,
      );
      requests[`${client} ${direction}`] = proxy.take();
    }
  }
  const result = {
    date: new Date().toISOString(),
    command: `npm run bench:stores -- --mb ${megabytes} --runs ${rounds}`,
    machine: before,
    versions: { node: process.version, minio: catalogue.minio.version, rclone: catalogue.rclone.version },
    bytes: megabytes * 1e6,
    rounds,
    rows: rows.map((row) => ({
      ...row,
      toGranary: toGranary(rows, row),
      requests: requests[`${row.client} ${row.direction}`]?.length,
    })),
  };
  mkdirSync(dirname(values.out), { recursive: true });
  writeFileSync(values.out, `${JSON.stringify(result, null, 2)}\n`);
  console.log('| | MB/s | x granary’s time | CPU s | peak MiB | requests |\n|---|---|---|---|---|---|');
  for (const row of result.rows) {
    const speed = spread(row.transferSeconds, (seconds) => (megabytes / seconds).toFixed(0));
    const peak = row.peakBytes.length === 0 ? '–' : Math.ceil(Math.max(...row.peakBytes) / 2 ** 20);
    const cpu = row.cpuSeconds.length === 0 ? '–' : spread(row.cpuSeconds, (value) => value.toFixed(2));
    console.log(
      `| ${row.client}, ${row.direction} | ${speed} | ${ratio(row.toGranary)} | ${cpu} | ${peak} | ${row.requests} |`,
    );
  }
}

function note(row: Row, { seconds, stdout, cpuSeconds, peakBytes }: Measured): void {
  const own = Number.parseFloat(stdout);
  row.seconds.push(seconds);
  row.transferSeconds.push(Number.isNaN(own) ? seconds : own);
  if (cpuSeconds !== null) row.cpuSeconds.push(cpuSeconds);
  if (peakBytes !== null) row.peakBytes.push(peakBytes);
}

/** How many times as long as Granary's driver another took, the starts of processes left out where they are known. */
function toGranary(rows: readonly Row[], row: Row): Spread | null {
  const base = rows.find(({ client, direction }) => client === 'granary' && direction === row.direction);
  return base === undefined || base === row ? null : ratios(row.transferSeconds, base.transferSeconds);
}

await main();
