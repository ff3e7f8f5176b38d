/**
 * What the agent costs while nothing is due: `npm run bench:agent` (`--clusters 500 --backups 24 --minutes 65`).
 *
 * A real agent of the built package on a Git repository that it looks at each minute, as it does by default, and a real
 * MinIO that holds the backups of all clusters. It runs for more than an hour, so that the hourly look at the
 * destination is counted too. Targets: 120 MiB, 1 % of a core, one listing for a cluster and hour.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { nodeEnvironment, nodeFlags } from '../build/bundle.ts';
import { startMinio } from '../test/servers/minio.ts';
import { cpuSeconds, openHandles, peakMiB, residentMiB } from './agent/process.ts';
import { bucket, fillBucket, fleetAtRest } from './agent/rest.ts';
import { startCountingProxy } from './backup/requests.ts';
import { spreadOf } from './backup/statistics.ts';
import { buildProgram, machine, root, wholeNumber } from './surroundings.ts';

const { values } = parseArgs({
  options: {
    clusters: { type: 'string', default: '500' },
    backups: { type: 'string', default: '24' },
    minutes: { type: 'string', default: '65' },
  },
});
const clusters = Array.from(
  { length: wholeNumber('--clusters', values.clusters) },
  (_, index) => `c-${index}`,
);
const backups = wholeNumber('--backups', values.backups);
const minutes = wholeNumber('--minutes', values.minutes);
/** What the first pass needed has been given back by then. */
const settledSeconds = 60;
const sampleSeconds = 5;

const now = new Date();
const program = await buildProgram();
await using minio = await startMinio();
await minio.createBucket(bucket);
await using proxy = await startCountingProxy(minio.endpoint);
await fillBucket(minio, clusters, backups, now);
using fleet = await fleetAtRest(minio, proxy.endpoint, clusters, now);

const agent = spawn(
  process.execPath,
  [
    ...[...nodeFlags, program, 'agent', '--listen', '127.0.0.1:0'],
    ...['--repo', `file://${fleet.config}`, '--age-key-file', fleet.keyFile],
    ...['--state', fleet.folder.join('state')],
  ],
  {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH, HOME: fleet.temp, TMPDIR: fleet.temp, ...nodeEnvironment },
  },
);
const ended = once(agent, 'close');
const passes: { at: number; reason: unknown }[] = [];
const unexpected: string[] = [];
createInterface({ input: agent.stdout }).on('line', (text) => {
  const line = JSON.parse(text) as Record<string, unknown>;
  if (line.msg === 'planned') passes.push({ at: performance.now(), reason: line.reason });
  if (line.level === 'error' || line.msg === 'backup done' || line.msg === 'backup failed')
    unexpected.push(text);
});
try {
  const pid = agent.pid ?? 0;
  while (passes.length === 0 && agent.exitCode === null) await pause(500);
  await pause(settledSeconds * 1_000);
  const first = proxy.take();
  const passesBefore = passes.length;
  const [began, cpuBefore] = [performance.now(), cpuSeconds(pid)];
  const [resident, handles]: [number[], number[]] = [[], []];
  while (performance.now() - began < minutes * 60_000) {
    resident.push(residentMiB(pid));
    handles.push(openHandles(pid));
    await pause(sampleSeconds * 1_000);
  }
  const seconds = (performance.now() - began) / 1_000;
  const requests = proxy.take();
  const listings = requests.filter((one) => one.startsWith('LIST')).length;
  if (unexpected.length > 0) throw new Error(`the agent was not at rest:\n${unexpected.join('\n')}`);
  const result = {
    date: new Date().toISOString().slice(0, 10),
    command: `npm run bench:agent -- --clusters ${clusters.length} --backups ${backups} --minutes ${minutes}`,
    machine: machine(),
    node: process.version,
    ...{ flags: nodeFlags, clusters: clusters.length, backups, seconds },
    cpuPercentOfACore: ((cpuSeconds(pid) - cpuBefore) / seconds) * 100,
    residentMiB: spreadOf(resident),
    peakMiB: peakMiB(pid),
    handles: spreadOf(handles),
    passes: passes.slice(passesBefore).map(({ reason }) => reason),
    firstPass: countedBy(first),
    requests: countedBy(requests),
    listingsPerClusterAndHour: listings / clusters.length / (seconds / 3_600),
  };
  const file = join(root, 'bench', 'results', 'agent.json');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
  console.log(JSON.stringify(result, null, 2));
} finally {
  agent.kill('SIGTERM');
  await ended;
}

function countedBy(requests: readonly string[]): Record<string, number> {
  const groups = Map.groupBy(requests, (one) => one.split(' ')[0] ?? '');
  return Object.fromEntries([...groups].map(([method, made]) => [method, made.length]));
}
