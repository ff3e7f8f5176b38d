/** The metrics of a real agent that has seen all sorts of things: what rules and dashboards are tried on. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { RunningAgent } from '../agent/running-agent.ts';
import { filesIn, granary } from '../cli/granary.ts';
import { startEtcd } from '../servers/etcd.ts';
import { tempFolder } from '../servers/temp.ts';

/** A policy that is never due by itself: what there is comes from the first run of each cluster. */
function configuration(shop: string, tls: string, disk: string, hook: string): string {
  const documents = [
    [
      'kind: Seed',
      'metadata: {name: eu}',
      'spec:',
      '  clusters:',
      `    - {name: shop, endpoints: ["${shop}"], tls: {${tls}}}`,
      // The discard port, where nothing listens.
      '    - {name: dead, endpoints: ["http://127.0.0.1:9"]}',
    ],
    ['kind: Destination', 'metadata: {name: disk}', `spec: {provider: filesystem, path: ${disk}}`],
    policy('yearly', 'disk', ', verify: {drill: {cron: "0 0 1 1 *"}}'),
    [
      'kind: Repository',
      'metadata: {name: fleet}',
      `spec: {id: 6f0c9f6e-5d1c-4a6e-9a53-0f4f4f6a8f3e, notifications: [{type: webhook, url: "${hook}"}]}`,
    ],
  ];
  return yamlOf(documents);
}

function yamlOf(documents: readonly string[][]): string {
  return documents.map((lines) => ['apiVersion: granary.dev/v1', ...lines, ''].join('\n')).join('---\n');
}

function policy(name: string, destinations: string, more = ''): string[] {
  const schedule = '{cron: "0 0 1 1 *"}';
  return [
    'kind: Policy',
    `metadata: {name: ${name}}`,
    `spec: {clusters: {}, schedule: ${schedule}, destinations: [${destinations}], keep: {last: 3}${more}}`,
  ];
}

/**
 * Runs an agent with a cluster that is backed up over TLS, one that is dead, a destination that is not there and a
 * webhook; its backup is read back, and counted as restored. Gives what `/metrics` answers then.
 */
export async function recordMetrics(): Promise<string> {
  using temp = tempFolder('recorded');
  await using etcd = await startEtcd({ version: '3.5', tls: true, clientCertAuth: true });
  await etcd.etcdctl('put', 'a', '1');
  const [endpoint = ''] = etcd.endpoints;
  const { certificates } = etcd;
  if (certificates === undefined) throw new Error('etcd has no certificates');
  const { caFile, client } = certificates;
  const tls = `caFile: ${caFile}, certFile: ${client.certFile}, keyFile: ${client.keyFile}`;
  const [config, disk] = [temp.join('config'), temp.join('disk')];
  mkdirSync(config);
  mkdirSync(disk);
  await using hook = await openHook();
  writeFileSync(`${config}/all.yaml`, configuration(endpoint, tls, disk, hook.url));
  {
    await using agent = new RunningAgent(['--path', config]);
    await agent.logged('backup done', { cluster: 'shop' });
    agent.kill('SIGTERM');
    await agent.exited;
  }
  const verified = await granary(['verify', '--path', config, '--seed', 'eu']);
  if (!verified.stdout.includes('HashKV as recorded'))
    throw new Error(`not verified: ${verified.stdout}${verified.stderr}`);
  const manifest = filesIn(disk).find((file) => file.endsWith('/manifest.json')) ?? '';
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  writeFileSync(`${disk}/${manifest.replace('manifest', `proof-${time}-drill-ok`)}`, '{}');
  // What the first policy wanted is there now: a second one makes a run of this agent.
  const lost = [
    'kind: Destination',
    'metadata: {name: lost}',
    `spec: {provider: filesystem, path: ${disk}-lost}`,
  ];
  writeFileSync(`${config}/more.yaml`, yamlOf([lost, policy('soon', 'disk'), policy('later', 'disk, lost')]));
  await using agent = new RunningAgent(['--path', config]);
  await agent.logged('backup done', { cluster: 'shop', policy: 'soon' });
  await agent.logged('backup failed', { cluster: 'dead' });
  await agent.logged('certificate ends soon', { certificate: 'client' });
  await agent.logged('certificate ends soon', { certificate: 'member' });
  await hook.told;
  return (await agent.get('/metrics')).text;
}

/** Takes notifications, as whoever is told does. */
async function openHook() {
  const told = Promise.withResolvers<void>();
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      response.end();
      told.resolve();
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    told: told.promise,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
