/**
 * `npm run demo`: the main job on a real etcd, from a Git repository to a restored cluster, in about a minute and a
 * half. It needs no account, no network once its programs are there, and leaves a folder to play in.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connectMember } from '../../src/etcd/connection.ts';
import { range } from '../../src/etcd/kv.ts';
import { Secret } from '../../src/secrets/secret.ts';
import { type EtcdServer, startEtcd, startEtcdFrom } from '../../test/servers/etcd.ts';
import { fillEtcd } from '../../test/servers/keys.ts';
import { missing } from '../../test/servers/tools.ts';
import { startAgent } from './agent.ts';
import { entry, granary, showCommand, step, tell } from './say.ts';
import { makeWorld, type World, writeRepository } from './world.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = process.env.GRANARY_DEMO_DIR ?? join(root, '.granary-demo');
const ownMark = join(folder, '.made-by-the-demo');
const version = '3.6';

type Keys = ReadonlyMap<string, string>;

/** All keys with values and revisions, by name. */
async function keysOf(etcd: EtcdServer, world: World): Promise<Keys> {
  const target = {
    name: 'demo/shop',
    endpoints: etcd.endpoints,
    tls: null,
    auth: { username: 'root', password: new Secret(world.password) },
  };
  const options = { signal: AbortSignal.timeout(30_000) };
  using member = await connectMember(target, etcd.endpoints[0] ?? '', options);
  const found = new Map<string, string>();
  const { kvs } = await range(member, { keys: { prefix: '' } }, options);
  for (const { key, value, modRevision } of kvs) {
    found.set(Buffer.from(key).toString(), `${modRevision} ${Buffer.from(value).toString('base64')}`);
  }
  return found;
}

function newestRevision(keys: Keys): number {
  return Math.max(...[...keys.values()].map((value) => Number(value.split(' ')[0])));
}

function freshFolder(): void {
  if (existsSync(folder) && !existsSync(ownMark)) {
    throw new Error(`${folder} exists and is not of an earlier demo: move it away first`);
  }
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(ownMark, 'The demo removes this folder when it runs again.\n');
}

async function demo(): Promise<void> {
  freshFolder();
  const world = await makeWorld(folder);
  const keys = { SOPS_AGE_KEY_FILE: world.keyFile };
  const path = (name: string) => relative(process.cwd(), name) || '.';

  step('A real etcd, with a user and a password, and a few thousand keys as Kubernetes has them');
  const dataDir = join(folder, 'etcd');
  const etcd = await startEtcd({ version, dataDir, auth: { password: world.password } });
  process.once('exit', () => etcd.kill('SIGKILL'));
  const filled = await fillEtcd(etcd, { keys: 3_000 });
  tell(`etcd ${version} listens on ${etcd.endpoints[0]} and holds ${filled.keys} keys`);

  step('A Git repository says what is backed up, where to, when and for how long');
  for (const name of writeRepository(world, etcd)) tell(`${path(world.repository)}/${name}`);
  tell('etcd’s password stands in a file that sops encrypted; the private key stays outside of Git');
  await granary(['validate', '--path', path(world.repository)], {});

  step('What would happen? Nothing is changed by looking');
  await granary(['plan', '--repo', path(world.repository)], keys);

  step('The agent pulls the repository and backs up, for two slots');
  const agent = startAgent(['--repo', path(world.repository), '--state', path(join(folder, 'state'))], keys);
  await agent.published(1);
  await fillEtcd(etcd, { keys: 500, seed: 2, prefix: '/registry/later' });
  tell('500 more keys are written; the next slot is at the full minute');
  const before = await keysOf(etcd, world);
  await agent.published(newestRevision(before));
  await agent.stop();

  step('What lies in the destination');
  await granary(['get', 'backups', '--repo', path(world.repository)], keys);
  await granary(['verify', '--repo', path(world.repository)], keys);

  step('Disaster: etcd is killed and its data is destroyed');
  etcd.kill('SIGKILL');
  await etcd.stop();
  rmSync(dataDir, { recursive: true, force: true });
  tell(`${path(dataDir)} is gone`);

  step('Restore');
  const file = join(folder, 'shop.db');
  await granary(['restore', 'demo/shop', '--repo', path(world.repository), '--to', path(file)], keys);
  const restoredDir = join(folder, 'etcd-restored');
  showCommand('etcdutl', 'snapshot', 'restore', path(file), '--data-dir', path(restoredDir));
  await etcd.etcdutl('snapshot', 'restore', file, '--data-dir', restoredDir);

  step('Is everything there? Key by key');
  await using restored = await startEtcdFrom(restoredDir, version, { name: 'default' });
  process.once('exit', () => restored.kill('SIGKILL'));
  const after = await keysOf(restored, world);
  const different = [...before].filter(([key, value]) => after.get(key) !== value);
  if (different.length > 0 || before.size !== after.size) {
    throw new Error(`${different.length} keys differ, ${after.size} instead of ${before.size} are there`);
  }
  tell(`all ${after.size} keys are there, each with its value and its revision`);
  farewell(world, path);
}

function farewell(world: World, path: (name: string) => string): void {
  step('Yours to play with');
  tell(`${path(world.folder)} holds the configuration, the backups and the key. Try:`);
  console.log(`
     alias granary='${path(process.execPath)} ${path(entry)}'
     export SOPS_AGE_KEY_FILE=${path(world.keyFile)}
     granary get backups --path ${path(world.repository)}
     granary inspect ${path(join(world.folder, 'shop.db'))}
     granary validate --path ${path(world.repository)}      # after breaking ${basename(world.repository)}/policy.yaml
`);
}

const absent = missing([`etcd-${version}`, 'sops']);
if (absent.length > 0) {
  console.error(
    `error: the demo needs ${absent.join(' and ')}, which could not be installed; the lines above say why`,
  );
  process.exitCode = 1;
} else {
  try {
    await demo();
  } catch (error) {
    console.error(`\nerror: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}
