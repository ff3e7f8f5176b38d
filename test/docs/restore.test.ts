/** Every command of `docs/restore/` is run, in the order of its page, and brings back what was in the backup. */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Fleet } from '../cli/fleet.ts';
import { granary, granaryJson } from '../cli/granary.ts';
import { root } from '../house/repository.ts';
import { type Certificates, makeCertificates } from '../servers/certificates.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, etcdctl, startEtcd } from '../servers/etcd.ts';
import { freePorts } from '../servers/ports.ts';
import { Machine } from './machine.ts';
import { readRunbook, runScript, type Values } from './runbook.ts';

const pages = readdirSync(join(root, 'docs/restore')).filter((name) => name.endsWith('.md'));
const ran = new Set(['README.md']);

describeWith(['etcd-3.6', 'age', 'zstd', 'openssl', 'sops'], 'the runbooks', () => {
  let etcd: EtcdServer;
  let fleet: Fleet;
  let id: string;
  let end: string;
  let machine: Machine;

  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.6' });
    await etcd.etcdctl('put', '/app/settings/colour', 'blue\nand more');
    await etcd.etcdctl('put', '/app/settings/size', 'large');
    fleet = await Fleet.make({ endpoints: etcd.endpoints });
    fleet.writePolicy('hourly', { destinations: ['local'], encryption: { recipients: [fleet.recipient] } });
    const { results } = await granaryJson<{ results: { id: string }[] }>(
      ['backup', 'eu/prod', ...fleet.opened],
      { env: fleet.env },
    );
    id = results[0]?.id ?? '';
    end = new Date(Date.now() + 1_000).toISOString();
  });
  afterAll(async () => {
    await etcd.stop();
    fleet[Symbol.dispose]();
  });
  beforeEach(() => {
    machine = new Machine();
    return () => machine[Symbol.dispose]();
  });

  /** Ports and flags of members that run on this machine. */
  async function members(count: number, certificates?: Certificates) {
    const ports = await freePorts(count * 2);
    const scheme = certificates === undefined ? 'http' : 'https';
    const all = Array.from({ length: count }, (_, index) => ({
      name: `m${index + 1}`,
      endpoint: `${scheme}://127.0.0.1:${ports[index * 2]}`,
      peerUrl: `${scheme}://127.0.0.1:${ports[index * 2 + 1]}`,
      data: machine.path(`data-m${index + 1}`),
    }));
    const server = certificates?.server;
    const tls =
      certificates === undefined || server === undefined
        ? []
        : ['', 'peer-'].flatMap((which) => [
            ...[`--${which}cert-file=${server.certFile}`, `--${which}key-file=${server.keyFile}`],
            ...[`--${which}trusted-ca-file=${certificates.caFile}`, `--${which}client-cert-auth`],
          ]);
    return all.map((one) => ({
      ...one,
      flags: [
        ...[`--name=${one.name}`, `--data-dir=${one.data}`, '--log-level=warn', ...tls],
        ...[`--listen-client-urls=${one.endpoint}`, `--advertise-client-urls=${one.endpoint}`],
        ...[`--listen-peer-urls=${one.peerUrl}`, `--initial-advertise-peer-urls=${one.peerUrl}`],
        `--initial-cluster=${all.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(',')}`,
      ],
    }));
  }

  /** The data directory of a member that was lost. */
  function broken(path: string): void {
    mkdirSync(join(path, 'member'), { recursive: true });
    writeFileSync(join(path, 'member/broken'), 'broken');
  }

  async function run(page: string, values: Values, each?: readonly Values[]): Promise<string> {
    const book = readRunbook(page);
    expect(book.variables.length).toBeGreaterThan(0);
    ran.add(page);
    const result = await runScript(book.script(values, each), { cwd: machine.path('tmp'), env: machine.env });
    expect(result.code, `${page}: ${result.output}\n${machine.logs()}`).toBe(0);
    return result.output;
  }

  const common = () => ({ BACKUP: 'eu/prod', CONFIG: fleet.config, KEY: fleet.keyFile });
  const bucket = () => `file://${fleet.folder.join('local')}`;
  const colour = (endpoint: string, ...flags: string[]) =>
    etcdctl('3.6', '--endpoints', endpoint, ...flags, 'get', '/app/settings/colour', '--print-value-only');

  test('single-node.md', async () => {
    const [only] = await members(1);
    if (only === undefined) throw new Error('one member was asked for');
    machine.addService(only.name, only.flags);
    broken(only.data);
    // The cluster is backed up again where it is now.
    fleet.write('Seed', 'eu', { clusters: [{ name: 'prod', endpoints: [only.endpoint] }] });
    const values = { ...common(), DATA: only.data, NAME: only.name, PEER_URL: only.peerUrl };
    const output = await run('single-node.md', { ...values, ENDPOINT: only.endpoint });
    expect(output).toContain('is healthy');
    expect(await colour(only.endpoint)).toBe('blue\nand more\n');
    expect(existsSync(`${only.data}.old`)).toBe(false);
    fleet.write('Seed', 'eu', { clusters: [{ name: 'prod', endpoints: etcd.endpoints }] });
  });

  test('three-members.md', async () => {
    const three = await members(3);
    for (const { name, flags, data } of three) {
      machine.addService(name, flags);
      broken(data);
    }
    const output = await run(
      'three-members.md',
      {
        ...common(),
        BACKUP: id,
        CLUSTER: 'eu/prod',
        MEMBERS: three.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(','),
        TOKEN: 'restored',
        ENDPOINTS: three.map(({ endpoint }) => endpoint).join(','),
      },
      three.map(({ name, data }) => ({ NAME: name, DATA: data })),
    );
    const clusters = [...output.matchAll(/^written .* of 3, cluster id (\w+)$/gm)].map(
      ([, cluster]) => cluster,
    );
    expect(clusters).toHaveLength(3);
    expect(new Set(clusters).size).toBe(1);
    for (const { endpoint } of three) expect(await colour(endpoint)).toBe('blue\nand more\n');
  });

  test('kubeadm.md', async () => {
    const kubernetes = machine.path('kubernetes');
    const pki = join(kubernetes, 'pki/etcd');
    for (const path of [pki, join(kubernetes, 'manifests')]) mkdirSync(path, { recursive: true });
    const [only] = await members(1, makeCertificates(pki));
    if (only === undefined) throw new Error('one member was asked for');
    const lines = only.flags.map((flag) => `    - ${flag}`).join('\n');
    const pod = `apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - command:\n    - etcd\n${lines}\n`;
    writeFileSync(join(kubernetes, 'manifests/etcd.yaml'), pod);
    broken(only.data);
    const kubelet = spawn('kubelet', [join(kubernetes, 'manifests')], { env: machine.env, stdio: 'ignore' });
    try {
      const output = await run('kubeadm.md', {
        ...{ BACKUP: 'eu/prod', BUCKET: bucket(), KEY: fleet.keyFile, KUBERNETES: kubernetes },
        ...{ DATA: only.data, NAME: only.name, PEER_URL: only.peerUrl, ENDPOINT: only.endpoint },
      });
      expect(output).toContain(`--name=${only.name}`);
      const tls = ['--cacert', join(pki, 'ca.crt'), '--cert', join(pki, 'client.crt')];
      expect(await colour(only.endpoint, ...tls, '--key', join(pki, 'client.key'))).toBe('blue\nand more\n');
    } finally {
      kubelet.kill('SIGKILL');
    }
  });

  test('tls.md', async () => {
    const pki = machine.path('pki');
    mkdirSync(pki);
    const [only] = await members(1, makeCertificates(pki));
    if (only === undefined) throw new Error('one member was asked for');
    machine.addService(only.name, only.flags);
    broken(only.data);
    const values = { ...common(), PKI: pki, DATA: only.data, NAME: only.name, PEER_URL: only.peerUrl };
    const output = await run('tls.md', { ...values, ENDPOINT: only.endpoint });
    expect(output).toContain('is healthy');
    expect(output).toContain('IP Address:127.0.0.1');
  });

  test('look-inside.md', async () => {
    const output = await run('look-inside.md', {
      ...{ ...common(), FILE: machine.path('prod.db'), PREFIX: '/app/settings/' },
      ...{ LOST: '/app/settings/colour', REVISION: '2' },
    });
    expect(output).toMatch(/^ +2 +13 B +\/app\/settings\/colour$/m);
    expect(output).toMatch(/^blue\nand more$/m);
    expect(output).toContain('1 added, 0 changed, 0 removed, 1 unchanged, from revision 2 to 3.');
    expect(existsSync(machine.path('prod.db'))).toBe(false);
  });

  test('partial.md', async () => {
    await etcd.etcdctl('del', '/app/settings/colour');
    await etcd.etcdctl('put', '/app/settings/size', 'changed since');
    const file = machine.path('prod.db');
    const output = await run('partial.md', {
      ...{ ...common(), AT: end, FILE: file, LIVE: etcd.endpoints.join(), PREFIX: '/app/settings/' },
      LOST: '/app/settings/colour',
    });
    expect(output).toContain('Plan: 1 to create, 1 to overwrite, 0 unchanged. Nothing was written.');
    expect(output).toContain('written    1 key');
    const values = await etcd.etcdctl('get', '/app/settings/', '--prefix', '--print-value-only');
    expect(values).toBe('blue\nand more\nchanged since\n');
    expect(existsSync(file)).toBe(false);
    await etcd.etcdctl('put', '/app/settings/size', 'large');
  });

  test('only-the-bucket.md', async () => {
    const folder = machine.path('copied');
    cpSync(fleet.folder.join('local/clusters', id), folder, { recursive: true });
    const output = await run('only-the-bucket.md', {
      ...{ BUCKET: bucket(), CLUSTER: id, KEY: fleet.keyFile, DATA: machine.path('data') },
      ...{ FILE: machine.path('prod.db'), FOLDER: folder, SNAPSHOT: machine.path('snapshot.db') },
      RESTORED: machine.path('by-hand'),
    });
    const { snapshot } = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as {
      snapshot: { sha256: string };
    };
    expect(output).toContain(`${snapshot.sha256}  ${machine.path('snapshot.db')}`);
    const [ours, byHand] = ['prod.db', 'snapshot.db'].map((name) => readFileSync(machine.path(name)));
    expect(ours?.equals(byHand ?? Buffer.of())).toBe(true);
  });

  test('lost-key.md', async () => {
    const file = machine.path('prod.db');
    const values = { BACKUP: 'eu/prod', BUCKET: bucket(), FOUND: fleet.keyFile, FILE: file };
    const output = await run('lost-key.md', values);
    // In the hint of the refusal, and as the public half of the key.
    expect(output.split(fleet.recipient).length).toBeGreaterThan(2);
    expect(existsSync(file)).toBe(true);
  });

  test('what-else.md', async () => {
    const folder = machine.path('etc/kubernetes');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'encryption.yaml'), 'kind: EncryptionConfiguration\n');
    const values = { ROOT: machine.path('.'), RECIPIENT: fleet.recipient, KEY: fleet.keyFile };
    const output = await run('what-else.md', { ...values, SAVED: machine.path('saved.tar.age') });
    expect(output).toContain('etc/kubernetes/encryption.yaml');
  });

  test('none is left out', () => {
    expect([...ran].sort()).toEqual(pages.sort());
  });
});

describe('the runbooks', () => {
  test.each(pages)('%s leads only to pages that are there', (page) => {
    const text = readFileSync(join(root, 'docs/restore', page), 'utf8');
    const links = [...text.matchAll(/\]\(([^)#]+\.md)\)/g)].map(([, link = '']) => link);
    for (const link of links) expect(existsSync(join(root, 'docs/restore', link)), link).toBe(true);
  });

  test('a command that is no command fails its page', async () => {
    const result = await runScript('set -euo pipefail\ntrue\ngranary-is-not-here\ntrue\n', {
      cwd: root,
      env: { PATH: '/usr/bin:/bin' },
    });
    expect(result.code).toBe(127);
  });

  test('its help is what it says', async () => {
    expect((await granary(['restore', '--help'])).stdout).toContain('--data-dir <dir>');
  });
});
