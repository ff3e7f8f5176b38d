/** `init` for a cluster that runs: asked once, written down, valid, and good enough for `check`. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { KeyPair } from '../servers/certificates.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { expectFailure, filesIn, granary, granaryJson, plant } from './granary.ts';

let folder: TempFolder;
beforeEach(() => {
  folder = tempFolder('init-cluster');
});
afterEach(() => folder.remove());

interface Seed {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly clusters: readonly [
      {
        readonly name: string;
        readonly endpoints: readonly string[];
        readonly tls?: Readonly<Record<string, string>>;
        readonly auth?: { readonly credential: string };
      },
    ];
  };
}

const seedIn = (repository: string, name = 'main') =>
  parse(readFileSync(join(repository, `seeds/${name}.yaml`), 'utf8')) as Seed;

/** What the next commands promise: the repository is valid, and the cluster can be backed up. */
async function expectUsable(repository: string, cluster = 'main/etcd'): Promise<void> {
  const { valid } = await granaryJson<{ valid: boolean }>(['validate', '--path', repository]);
  expect(valid).toBe(true);
  const key = join(repository, 'age.key');
  const ran = await granary(['check', cluster, '--path', repository, '--age-key-file', key]);
  expect(ran, ran.stdout + ran.stderr).toMatchObject({ code: 0 });
}

function tlsFlags({ certificates }: EtcdServer): string[] {
  const client = certificates?.client;
  return [
    '--cacert',
    certificates?.caFile ?? '',
    '--cert',
    client?.certFile ?? '',
    '--key',
    client?.keyFile ?? '',
  ];
}

for (const [version, members, auth] of [
  ['3.4', 1, true],
  ['3.5', 3, false],
  ['3.6', 1, true],
] as const) {
  describeWith([`etcd-${version}`, 'openssl'], `a cluster of ${members} with TLS, etcd ${version}`, () => {
    const password = plant(`pass-${version}-word`);
    let etcd: EtcdServer;
    beforeAll(async () => {
      etcd = await startEtcd({
        version,
        members,
        tls: true,
        clientCertAuth: !auth,
        ...(auth && { auth: { password } }),
      });
    });
    afterAll(() => etcd.stop());

    test('is written with all of its members, from one endpoint', async () => {
      const user = auth ? ['--user', 'root'] : [];
      const flags = [...tlsFlags(etcd), ...user];
      const [endpoint = ''] = etcd.endpoints;
      const fleet = folder.join('fleet');
      const ran = await granary(['init', fleet, '--endpoints', endpoint, ...flags], {
        env: { ETCDCTL_PASSWORD: password },
      });
      expect(ran, ran.stderr).toMatchObject({ code: 0, stderr: '' });
      expect(ran.stdout).toContain(`with ${members} member${members === 1 ? '' : 's'} of etcd ${version}.`);
      expect(ran.stdout).toContain(`granary check main/etcd --path ${fleet}`);
      const seed = seedIn(fleet);
      const [cluster] = seed.spec.clusters;
      expect([...cluster.endpoints].sort()).toEqual([...etcd.endpoints].sort());
      expect(cluster.tls).toEqual({
        caFile: etcd.certificates?.caFile,
        certFile: etcd.certificates?.client.certFile,
        keyFile: etcd.certificates?.client.keyFile,
      });
      expect(cluster.auth).toEqual(auth ? { credential: 'etcd-login' } : undefined);
      for (const name of filesIn(fleet)) {
        const text = readFileSync(join(fleet, name), 'utf8');
        expect(text, name).not.toContain(password);
        expect(text, name).not.toContain('PRIVATE KEY');
      }
      await expectUsable(fleet);
    });

    test('and nothing is written where it does not let the user in', async () => {
      const [endpoint = ''] = etcd.endpoints;
      const bad = auth ? ['--user', 'root'] : [];
      const fleet = folder.join('fleet');
      const flags = auth ? [...tlsFlags(etcd), ...bad] : ['--cacert', etcd.certificates?.caFile ?? ''];
      const ran = await granary(['init', fleet, '--endpoints', endpoint, ...flags], {
        env: { ETCDCTL_PASSWORD: 'not-it' },
      });
      expect(ran, ran.stderr).toMatchObject({ code: 1, stdout: '' });
      expect(ran.stderr).toMatch(/^error: .+\nhint: .+\n$/);
      expect(filesIn(folder.path)).toEqual([]);
    });
  });
}

/** As versions of kubeadm write it: flags in their order, with what came later and what went. */
const manifests: Readonly<Record<string, (flags: Flags) => readonly string[]>> = {
  '1.15': ({ client, cert, key, ca, data }) => [
    `--advertise-client-urls=${client}`,
    `--cert-file=${cert}`,
    '--client-cert-auth=true',
    `--data-dir=${data}`,
    `--key-file=${key}`,
    `--listen-client-urls=https://127.0.0.1:1,${client}`,
    '--listen-metrics-urls=http://127.0.0.1:2381',
    `--trusted-ca-file=${ca}`,
  ],
  '1.24': ({ client, cert, key, ca, data }) => [
    `--advertise-client-urls=${client}`,
    `--cert-file=${cert}`,
    '--client-cert-auth=true',
    `--data-dir=${data}`,
    '--experimental-initial-corrupt-check=true',
    `--initial-cluster=node=https://10.0.0.1:2380`,
    `--key-file=${key}`,
    `--listen-client-urls=https://127.0.0.1:1,${client}`,
    '--listen-metrics-urls=http://127.0.0.1:2381',
    '--snapshot-count=10000',
    `--trusted-ca-file=${ca}`,
  ],
  '1.34': ({ client, cert, key, ca, data }) => [
    `--advertise-client-urls=https://[fd00::1]:1,${client}`,
    `--cert-file=${cert}`,
    `--data-dir=${data}`,
    '--feature-gates=InitialCorruptCheck=true',
    `--key-file=${key}`,
    `--listen-client-urls=https://[::1]:1,${client}`,
    '--listen-metrics-urls=http://[::1]:2381',
    `--trusted-ca-file=${ca}`,
    '--watch-progress-notify-interval=5s',
  ],
};

interface Flags {
  readonly client: string;
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  readonly data: string;
}

/** `/etc/kubernetes` of a control-plane node, in a folder. */
function kubernetesFolder(version: string, client: string, ca: string, pair: KeyPair): string {
  const root = folder.join('kubernetes');
  mkdirSync(join(root, 'manifests'), { recursive: true });
  mkdirSync(join(root, 'pki/etcd'), { recursive: true });
  cpSync(ca, join(root, 'pki/etcd/ca.crt'));
  for (const name of ['server', 'healthcheck-client']) {
    cpSync(pair.certFile, join(root, `pki/etcd/${name}.crt`));
    cpSync(pair.keyFile, join(root, `pki/etcd/${name}.key`));
  }
  const pki = '/etc/kubernetes/pki/etcd';
  const flags = manifests[version]?.({
    ...{ client, cert: `${pki}/server.crt`, key: `${pki}/server.key`, ca: `${pki}/ca.crt` },
    data: '/var/lib/etcd',
  });
  const pod = [
    'apiVersion: v1',
    'kind: Pod',
    'metadata:',
    '  annotations:',
    `    kubeadm.kubernetes.io/etcd.advertise-client-urls: ${client}`,
    '  labels: {component: etcd, tier: control-plane}',
    '  name: etcd',
    '  namespace: kube-system',
    'spec:',
    '  containers:',
    '  - command:',
    '    - etcd',
    ...(flags ?? []).map((flag) => `    - ${flag}`),
    '    image: registry.example/etcd:3',
    '    name: etcd',
    '    volumeMounts:',
    '    - mountPath: /var/lib/etcd',
    '      name: etcd-data',
    '    - mountPath: /etc/kubernetes/pki/etcd',
    '      name: etcd-certs',
    '  hostNetwork: true',
    '  volumes:',
    '  - hostPath: {path: /etc/kubernetes/pki/etcd, type: DirectoryOrCreate}',
    '    name: etcd-certs',
    '  - hostPath: {path: /var/lib/etcd, type: DirectoryOrCreate}',
    '    name: etcd-data',
    'status: {}',
    '',
  ];
  writeFileSync(join(root, 'manifests/etcd.yaml'), pod.join('\n'));
  return root;
}

describeWith(['etcd-3.6', 'openssl'], 'a node of kubeadm', () => {
  let etcd: EtcdServer;
  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.6', tls: true, clientCertAuth: true });
  });
  afterAll(() => etcd.stop());

  test.each(Object.keys(manifests))('as %s writes it', async (version) => {
    const { certificates } = etcd;
    if (certificates === undefined) throw new Error('no certificates');
    const [client = ''] = etcd.endpoints;
    const root = kubernetesFolder(version, client, certificates.caFile, certificates.client);
    const fleet = folder.join('fleet');
    const args = [
      'init',
      fleet,
      '--from-kubeadm',
      '--kubernetes-dir',
      root,
      '--seed',
      'node-1',
      '--cluster',
      'prod',
    ];
    const ran = await granary(args);
    expect(ran, ran.stderr).toMatchObject({ code: 0, stderr: '' });
    const [cluster] = seedIn(fleet, 'node-1').spec.clusters;
    expect(cluster).toEqual({
      name: 'prod',
      endpoints: [client],
      tls: {
        caFile: join(root, 'pki/etcd/ca.crt'),
        certFile: join(root, 'pki/etcd/healthcheck-client.crt'),
        keyFile: join(root, 'pki/etcd/healthcheck-client.key'),
      },
    });
    await expectUsable(fleet, 'node-1/prod');
    await expectFailure(args, {
      code: 'target-exists',
      says: ['already; nothing was written'],
      hint: 'new folder',
    });
  });

  test('with an etcd elsewhere says where that is', async () => {
    mkdirSync(folder.join('manifests'));
    writeFileSync(
      folder.join('manifests/kube-apiserver.yaml'),
      'spec:\n  containers:\n  - command: [kube-apiserver, "--etcd-servers=https://10.0.0.9:2379", "--etcd-cafile=/etc/etcd/ca.crt"]\n',
    );
    await expectFailure(['init', folder.join('fleet'), '--from-kubeadm', '--kubernetes-dir', folder.path], {
      code: 'file-unreadable',
      says: ['not on this node: https://10.0.0.9:2379'],
      hint: 'granary init --endpoints https://10.0.0.9:2379 --cacert /etc/etcd/ca.crt',
    });
  });

  test('that is none', async () => {
    await expectFailure(['init', folder.join('fleet'), '--from-kubeadm', '--kubernetes-dir', folder.path], {
      code: 'file-unreadable',
      says: ['manifests/etcd.yaml does not exist'],
      hint: 'control-plane node',
    });
    mkdirSync(folder.join('manifests'));
    writeFileSync(folder.join('manifests/etcd.yaml'), 'kind: Pod\nspec: {containers: [{command: [etcd]}]}\n');
    await expectFailure(['init', folder.join('fleet'), '--from-kubeadm', '--kubernetes-dir', folder.path], {
      code: 'file-unreadable',
      says: ['names no client URL'],
      hint: '--endpoints',
    });
  });
});

describeWith(['etcd-3.5', 'openssl'], 'a member whose certificate is for another host', () => {
  test.each(['the URL that was typed', 'the URL that the member tells'])('as in %s', async (where) => {
    let port = 0;
    const relay = createServer((socket) => {
      const member = connect(port, '127.0.0.1');
      socket.pipe(member).pipe(socket);
      for (const one of [socket, member]) one.on('error', () => one.destroy());
    });
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.2', resolve));
    const elsewhere = `https://127.0.0.2:${(relay.address() as AddressInfo).port}`;
    const isTyped = where === 'the URL that was typed';
    try {
      await using etcd = await startEtcd({
        ...{ version: '3.5', tls: true },
        ...(!isTyped && { extraArgs: ['--advertise-client-urls', elsewhere] }),
      });
      const [endpoint = ''] = etcd.endpoints;
      port = Number(new URL(endpoint).port);
      const fleet = folder.join('fleet');
      const typed = isTyped ? elsewhere : endpoint;
      const ca = etcd.certificates?.caFile ?? '';
      const ran = await granary(['init', fleet, '--endpoints', typed, '--cacert', ca]);
      expect(ran.code, ran.stderr).toBe(0);
      expect(ran.stderr).toContain(
        `warning: the certificate of ${elsewhere} is not for that host, but for 127.0.0.1, localhost`,
      );
      const [cluster] = seedIn(fleet).spec.clusters;
      // What the member says of itself is written, and its certificate is for that.
      if (isTyped) expect(cluster).toMatchObject({ endpoints: [endpoint], tls: { caFile: ca } });
      else
        expect(cluster).toMatchObject({
          endpoints: [elsewhere],
          tls: { caFile: ca, serverName: 'localhost' },
        });
      await expectUsable(fleet);
    } finally {
      relay.close();
    }
  });
});

describe('flags that do not go together', () => {
  test.each([
    [['--cacert', 'ca.crt'], '--cacert belongs to --endpoints or --from-kubeadm'],
    [['--kubernetes-dir', '/x'], '--kubernetes-dir belongs to'],
    [['--endpoints', 'a:1', '--kubernetes-dir', '/x'], '--kubernetes-dir belongs to --from-kubeadm'],
    [['--endpoints', 'a:1', '--seed', 'Not_One'], '`Not_One` is no name for --seed'],
    [['--endpoints', 'a:1', '--user', 'root:word'], '--user holds more than a name'],
    [['--endpoints', 'http://127.0.0.1:1', '--cert', 'x.crt'], '--cert and --key belong together'],
  ])('%j', async (flags, says) => {
    const ran = await granary(['init', folder.join('fleet'), ...flags]);
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toContain(`error: ${says}`);
    expect(filesIn(folder.path)).toEqual([]);
  });
});
