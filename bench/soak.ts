/**
 * What is left behind when the agent is killed every minute for half an hour: `npm run bench:soak`
 * (`--clusters 50 --minutes 30`). Every cluster is due each minute; a real etcd, a real MinIO, SIGKILL at any moment.
 *
 * It counts slots without a backup, backups that cannot be restored, and what nobody will ever use again: spool files,
 * unfinished uploads, stored data without a manifest, open handles.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ListMultipartUploadsCommand, paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { nodeEnvironment, nodeFlags } from '../build/bundle.ts';
import { parseKey } from '../src/catalog/keys.ts';
import { type ObjectKey, slotOf } from '../src/model/names.ts';
import { Fleet } from '../test/cli/fleet.ts';
import { filesIn } from '../test/cli/granary.ts';
import { startEtcd } from '../test/servers/etcd.ts';
import { fillEtcd } from '../test/servers/keys.ts';
import { startMinio } from '../test/servers/minio.ts';
import { openHandles, residentMiB } from './agent/process.ts';
import { measure } from './backup/measure.ts';
import { buildProgram, machine, root, wholeNumber } from './surroundings.ts';

const { values } = parseArgs({
  options: { clusters: { type: 'string', default: '50' }, minutes: { type: 'string', default: '30' } },
});
const clusters = Array.from(
  { length: wholeNumber('--clusters', values.clusters) },
  (_, index) => `c-${index}`,
);
const minutes = wholeNumber('--minutes', values.minutes);
const bucket = 'bench';
const minute = 60_000;

const program = await buildProgram();
await using etcd = await startEtcd({ version: '3.6' });
await fillEtcd(etcd, { keys: 500, valueBytes: 2_000 });
await using minio = await startMinio();
await minio.createBucket(bucket);
using fleet = await Fleet.make({ endpoints: etcd.endpoints, destinations: {} });
fleet.remove('policy-hourly.yaml');
fleet.write('Seed', 'eu', { clusters: clusters.map((name) => ({ name, endpoints: etcd.endpoints })) });
fleet.write('Destination', 'store', {
  ...{ provider: 's3', bucket, region: minio.region, endpoint: minio.endpoint, forcePathStyle: true },
  credential: 'store-key',
});
fleet.seal('store-key', 's3', {
  accessKeyId: minio.accessKeyId,
  secretAccessKey: minio.secretAccessKey,
});
fleet.writePolicy('minutely', {
  schedule: { cron: '* * * * *' },
  destinations: ['store'],
  keep: { last: 1_000 },
});

/** Apart from the home, where Node keeps what it has compiled. */
const spool = fleet.folder.join('spool');
mkdirSync(spool);

/** The agent that runs now, with what the ones before it did. */
class Agents {
  readonly published = new Map<string, number>();
  readonly failures: string[] = [];
  started = 0;
  #child: ChildProcess | null = null;
  #ended: Promise<unknown> = Promise.resolve();

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  start(): void {
    this.started += 1;
    const args = [
      ...[...nodeFlags, program, 'agent', '--listen', '127.0.0.1:0'],
      ...[...fleet.opened, '--state', fleet.folder.join('state')],
    ];
    const env = { PATH: process.env.PATH, HOME: fleet.temp, TMPDIR: spool, ...nodeEnvironment };
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], env });
    createInterface({ input: child.stdout }).on('line', (text) => this.#read(text));
    this.#ended = once(child, 'close');
    this.#child = child;
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    this.#child?.kill(signal);
    await this.#ended;
  }

  #read(text: string): void {
    // The last line of one that was killed may be cut off.
    const line = text.endsWith('}') ? (JSON.parse(text) as Record<string, unknown>) : {};
    const outcome = String(line.outcome ?? '');
    if (line.msg === 'backup done') this.published.set(outcome, (this.published.get(outcome) ?? 0) + 1);
    if (line.level === 'error') this.failures.push(text);
  }
}

const agents = new Agents();
const begin = Date.now();
agents.start();
for (let kill = 1; kill <= minutes; kill += 1) {
  // Once in each minute, at another moment of it each time.
  const at = begin + (kill - 1) * minute + (0.1 + 0.8 * Math.random()) * minute;
  await pause(Math.max(0, at - Date.now()));
  await agents.end('SIGKILL');
  agents.start();
}
// Whatever the last kill delayed may be made up, and the last agent comes to rest between two minutes.
await pause(begin + (minutes + 1) * minute - Date.now());
const toNextMinute = minute - (Date.now() % minute);
await pause(toNextMinute > 20_000 ? toNextMinute - 5_000 : toNextMinute + minute - 5_000);
const [handles, memory] = [openHandles(agents.pid), residentMiB(agents.pid)];
await agents.end('SIGTERM');
const end = Date.now();

const keys: ObjectKey[] = [];
for await (const page of paginateListObjectsV2({ client: minio.client }, { Bucket: bucket })) {
  keys.push(...(page.Contents ?? []).map(({ Key }) => Key as ObjectKey));
}
const parsed = keys.map((key) => parseKey(key));
const slotsOf = (type: 'manifest' | 'data') =>
  new Set(parsed.flatMap((key) => (key.type === type ? [`${key.cluster}/${key.slot}`] : [])));
const manifests = slotsOf('manifest');
// From the first whole minute to the one before the last agent was told to end.
const due: string[] = [];
for (let at = Math.ceil(begin / minute) * minute; at <= end - minute; at += minute)
  due.push(slotOf(new Date(at)));
const wanted = clusters.flatMap((cluster) => due.map((slot) => `${cluster}/${slot}`));
const missing = wanted.filter((one) => !manifests.has(one));
const uploads = await minio.client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));

/** Reads every backup back, some at a time: a command line has an end. */
async function unsound(): Promise<string[]> {
  const { PATH } = process.env;
  const env = { PATH, HOME: fleet.temp, TMPDIR: spool };
  const ids = [...manifests].map((one) => `eu/${one.replace('/', '/minutely/')}`);
  const found: string[] = [];
  for (let from = 0; from < ids.length; from += 100) {
    const some = ids.slice(from, from + 100);
    const args = [program, 'verify', ...some, ...fleet.opened, '-o', 'json'];
    await measure({ file: process.execPath, args, env }, fleet.folder).catch((error: Error) => {
      found.push(error.message.slice(0, 2_000));
    });
  }
  return found;
}

const notSound = await unsound();
const result = {
  date: new Date().toISOString().slice(0, 10),
  command: `npm run bench:soak -- --clusters ${clusters.length} --minutes ${minutes}`,
  machine: machine(),
  node: process.version,
  ...{ clusters: clusters.length, minutes, kills: minutes, agentsStarted: agents.started },
  slots: { due: wanted.length, withBackup: wanted.length - missing.length, missing: missing.slice(0, 100) },
  backups: manifests.size,
  outcomes: Object.fromEntries(agents.published),
  errorsLogged: agents.failures.length,
  firstErrors: agents.failures.slice(0, 5),
  verified: manifests.size,
  notSound,
  left: {
    spoolFiles: filesIn(spool),
    unfinishedUploads: uploads.Uploads?.length ?? 0,
    dataWithoutManifest: [...slotsOf('data')].filter((slot) => !manifests.has(slot)).length,
    otherObjects: parsed
      .filter(({ type }) => !['data', 'manifest', 'proof'].includes(type))
      .map(({ type }) => type),
  },
  lastAgent: { handles, residentMiB: memory },
};
const file = join(root, 'bench', 'results', 'soak.json');
mkdirSync(dirname(file), { recursive: true });
writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
console.log(JSON.stringify(result, null, 2));
