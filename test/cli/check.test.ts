/** `granary check` against real servers: what works, what does not, and what it leaves behind. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { ListObjectsV2Command, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import { freePort } from '../servers/ports.ts';
import { Fleet, freshSecret } from './fleet.ts';
import { expectFailure, granary, type Ran } from './granary.ts';

interface Checked {
  readonly items: readonly {
    readonly kind: string;
    readonly name: string;
    readonly ready: boolean;
    readonly steps: readonly {
      readonly name: string;
      readonly verdict: string;
      readonly detail: string | null;
      readonly hint: string | null;
    }[];
  }[];
}

async function check(fleet: Fleet, ...words: string[]): Promise<{ ran: Ran; checked: Checked }> {
  const ran = await granary(['check', ...words, ...fleet.opened, '-o', 'json']);
  return { ran, checked: JSON.parse(ran.stdout) as Checked };
}

function stepsOf({ items: [first] }: Checked): Record<string, string> {
  return Object.fromEntries((first?.steps ?? []).map(({ name, verdict }) => [name, verdict]));
}

const probe = ['write', 'read', 'range', 'list', 'create-only', 'if-match', 'delete', 'gone', 'clock'];
const allOk = (...names: string[]) => Object.fromEntries(names.map((name) => [name, 'ok']));
const nowhere = ['http://127.0.0.1:9'];

test('a folder that can be used, and nothing is left there', async () => {
  using fleet = await Fleet.make({ endpoints: nowhere });
  const { ran, checked } = await check(fleet, 'local');
  expect(stepsOf(checked)).toEqual(allOk('folder', 'granary.json', ...probe));
  expect(checked.items[0]).toMatchObject({ kind: 'destination', name: 'local', ready: true });
  expect(ran.code).toBe(0);
  expect(fleet.stored('local')).toEqual([]);

  const text = await granary(['check', 'local', ...fleet.opened]);
  expect(text.stdout.split('\n')[0]).toBe(`local (folder ${fleet.folder.join('local')})`);
  expect(text.stdout).toContain('\n  ok    write, read, range, list\n');
  expect(text.stdout.trimEnd().split('\n').at(-1)).toBe('Ready.');
  expect(text.code).toBe(0);
});

test('a folder that is not there: nothing works', async () => {
  using fleet = await Fleet.make({ endpoints: nowhere });
  rmSync(fleet.folder.join('local'), { recursive: true });
  const { ran, checked } = await check(fleet, 'local');
  expect(stepsOf(checked)).toEqual({ folder: 'fail' });
  expect(ran.code).toBe(1);
  const text = await granary(['check', 'local', ...fleet.opened]);
  expect(text.stdout).toContain('\n  FAIL  folder         ');
  expect(text.stdout).toContain('\n        hint: ');
  expect(text.stdout).toContain('Not ready: 1 of 1 failed.');
  expect(text.code).toBe(1);
});

test('a marker that is none of ours is told, and the rest of the destination is left alone', async () => {
  using fleet = await Fleet.make({ endpoints: nowhere });
  writeFileSync(fleet.folder.join('local', 'granary.json'), '{"of": "somebody else"}');
  const { ran, checked } = await check(fleet, 'local');
  expect(stepsOf(checked)).toEqual({ folder: 'ok', 'granary.json': 'fail' });
  expect(ran.code).toBe(4);
});

test('nothing is written to a destination that is locked', async () => {
  using fleet = await Fleet.make({ endpoints: nowhere });
  fleet.write('Destination', 'local', { ...fleet.local('local'), locked: true });
  const { ran, checked } = await check(fleet, 'local');
  expect(stepsOf(checked)).toEqual({ folder: 'ok', 'granary.json': 'ok', locked: 'warn' });
  expect(ran.code).toBe(0);
});

test('what is not in the configuration', async () => {
  using fleet = await Fleet.make({ endpoints: nowhere });
  await expectFailure(['check', 'lokal', ...fleet.opened], {
    code: 'unknown-object',
    says: ['no destination lokal'],
    hint: 'local',
  });
  await expectFailure(['check', 'eu/gone', ...fleet.opened], {
    code: 'unknown-object',
    says: ['no cluster eu/gone'],
    hint: 'eu/prod',
  });
  await expectFailure(['check', 'eu/prod/hourly', ...fleet.opened], {
    code: 'usage',
    says: ['eu/prod/hourly'],
    hint: 'SEED/CLUSTER',
  });
});

test('--iam: the least role for Google and Azure, and a clear word on folders', async () => {
  using fleet = await Fleet.make({ endpoints: nowhere });
  fleet.write('Destination', 'google', { provider: 'gcs', bucket: 'acme-etcd', prefix: 'prod' });
  const azure = { provider: 'azure', storageAccount: 'acmebackups', container: 'etcd' };
  fleet.write('Destination', 'azure', azure);
  const role = async (name: string) => {
    const ran = await granary(['check', name, '--iam', ...fleet.source]);
    expect(ran.code, ran.stderr).toBe(0);
    return { document: JSON.parse(ran.stdout) as object, note: ran.stderr };
  };
  const google = await role('google');
  expect(google.document).toEqual({
    title: 'Granary',
    description: 'Backups of etcd in gs://acme-etcd/prod',
    stage: 'GA',
    includedPermissions: ['create', 'delete', 'get', 'list'].map((verb) => `storage.objects.${verb}`),
  });
  expect(google.note).toContain('add-iam-policy-binding gs://acme-etcd ');
  const [, condition = ''] = /condition\.json is (\{.*\})/.exec(google.note) ?? [];
  expect((JSON.parse(condition) as { expression: string }).expression).toBe(
    "resource.name.startsWith('projects/_/buckets/acme-etcd/objects/prod/') || api.getAttribute('storage.googleapis.com/objectListPrefix', '').startsWith('prod/')",
  );

  const unknown = await role('azure');
  expect(unknown.document).toMatchObject({
    Actions: [],
    AssignableScopes: ['/subscriptions/SUBSCRIPTION_ID/resourceGroups/RESOURCE_GROUP'],
    DataActions: expect.arrayContaining([
      'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action',
    ]) as string[],
  });
  expect(unknown.note).toContain('replace what is in capitals');
  const subscriptionId = '6f0c9f6e-0000-4000-8000-000000000000';
  fleet.write('Destination', 'azure', { ...azure, subscriptionId, resourceGroup: 'backups' });
  const group = `/subscriptions/${subscriptionId}/resourceGroups/backups`;
  const known = await role('azure');
  expect(known.document).toMatchObject({ AssignableScopes: [group] });
  expect(known.note).toContain(
    `--scope ${group}/providers/Microsoft.Storage/storageAccounts/acmebackups/blobServices/default/containers/etcd`,
  );
  expect(known.note).not.toContain('capitals');

  const folder = { code: 'usage', says: ['local is a folder'], hint: 'with mode 0700' } as const;
  await expectFailure(['check', 'local', '--iam', ...fleet.source], folder);
});

describeWith(['minio', 'sops'], 'a bucket', () => {
  let minio: MinioServer;
  beforeAll(async () => {
    minio = await startMinio();
    await minio.createBucket('checked');
  });
  afterAll(() => minio.stop());

  async function fleetWith(
    data: Record<string, string>,
    bucket = 'checked',
    changes: object = {},
  ): Promise<Fleet> {
    const { endpoint, region } = minio;
    const where = { provider: 's3', bucket, region, endpoint, forcePathStyle: true };
    const spec = { ...where, credential: 'key', ...changes };
    const fleet = await Fleet.make({ endpoints: nowhere, destinations: { store: spec } });
    fleet.seal('key', 's3', data);
    return fleet;
  }

  const key = () => ({ accessKeyId: minio.accessKeyId, secretAccessKey: minio.secretAccessKey });

  test('that can be used, and nothing is left there', async () => {
    using fleet = await fleetWith(key());
    const { ran, checked } = await check(fleet, 'store');
    const settings = { versions: 'ok', 'object lock': 'warn', lifecycle: 'ok' };
    expect(stepsOf(checked)).toEqual({ ...allOk('sign in', 'granary.json', ...probe), ...settings });
    expect(checked.items[0]?.steps[0]?.detail).toBe('as gran…test');
    expect(ran.code).toBe(0);
    const { KeyCount } = await minio.client.send(new ListObjectsV2Command({ Bucket: 'checked' }));
    expect(KeyCount).toBe(0);
  });

  test('with a wrong secret', async () => {
    using fleet = await fleetWith({ ...key(), secretAccessKey: freshSecret() });
    const { ran, checked } = await check(fleet, 'store');
    expect(stepsOf(checked)).toEqual({ 'sign in': 'fail' });
    expect(checked.items[0]?.steps[0]?.hint).toEqual(expect.any(String));
    expect(ran.code).toBe(1);
  });

  test('that does not exist', async () => {
    using fleet = await fleetWith(key(), 'absent');
    const { ran, checked } = await check(fleet, 'store');
    expect(checked.items[0]?.steps[0]?.detail).toContain('absent');
    expect(ran.code).toBe(1);
  });

  test('with object lock, that is held to it', async () => {
    const bucket = 'checked-locked';
    await minio.createBucket(bucket, { objectLock: true });
    using fleet = await fleetWith(key(), bucket, { objectLock: { mode: 'governance', days: 7 } });
    const { ran, checked } = await check(fleet, 'store');
    const settings = { lock: 'ok', 'object lock': 'ok', versions: 'warn', lifecycle: 'ok' };
    expect(stepsOf(checked)).toEqual({ ...allOk('sign in', 'granary.json', ...probe), ...settings });
    expect(ran.code).toBe(0);
    const left = await minio.client.send(new ListObjectVersionsCommand({ Bucket: bucket }));
    expect([left.Versions, left.DeleteMarkers]).toEqual([undefined, undefined]);
  });

  test('without the object lock that the destination wants', async () => {
    using fleet = await fleetWith(key(), 'checked', { objectLock: { mode: 'governance', days: 7 } });
    const { ran, checked } = await check(fleet, 'store');
    expect(stepsOf(checked)).toMatchObject({ write: 'ok', lock: 'fail', 'object lock': 'fail' });
    expect(ran.code).toBe(4);
  });

  test('as a role', async () => {
    const assumeRole = { roleArn: 'arn:aws:iam::123456789012:role/granary-writer' };
    using fleet = await fleetWith(key(), 'checked', { assumeRole });
    const { ran, checked } = await check(fleet, 'store');
    expect(checked.items[0]?.steps[0]).toMatchObject({
      verdict: 'ok',
      detail: 'as gran…test, role granary-writer',
    });
    expect(ran.code).toBe(0);
  });

  test('and the policy that a key for it needs: JSON, and nothing is opened for it', async () => {
    using fleet = await fleetWith(key(), 'checked', { prefix: 'backups' });
    const ran = await granary(['check', 'store', '--iam', ...fleet.source]);
    expect([ran.code, ran.stderr]).toEqual([0, '']);
    const { Version, Statement } = JSON.parse(ran.stdout);
    expect(Version).toBe('2012-10-17');
    expect(JSON.stringify(Statement)).toContain('arn:aws:s3:::checked/backups/*');
    expect(ran.stdout).not.toContain(minio.accessKeyId);
    const hint = 'store';
    await expectFailure(['check', '--iam', ...fleet.source], { code: 'usage', says: ['--iam'], hint });
    await expectFailure(['check', 'eu/prod', '--iam', ...fleet.source], {
      code: 'usage',
      says: ['--iam'],
      hint,
    });
    await expectFailure(['check', 'stoer', '--iam', ...fleet.source], {
      code: 'unknown-object',
      says: ['stoer'],
      hint,
    });
  });

  test('without the private key of its credential', async () => {
    using fleet = await fleetWith(key());
    const ran = await granary(['check', 'store', ...fleet.source]);
    expect(ran.stdout).toContain('  FAIL  sign in        no private key was given');
    expect(ran.stdout).toContain('hint: name a key file with --age-key-file');
    expect(ran.code).toBe(1);
  });
});

describeWith(['etcd-3.6'], 'a cluster of three members', () => {
  let etcd: EtcdServer;
  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.6', members: 3 });
  });
  afterAll(() => etcd.stop());

  test('that can be backed up', async () => {
    using fleet = await Fleet.make({ endpoints: etcd.endpoints });
    const { ran, checked } = await check(fleet, 'eu/prod');
    expect(stepsOf(checked)).toEqual(allOk(...etcd.endpoints, 'snapshot, HashKV', 'alarms'));
    const details = checked.items[0]?.steps.map(({ detail }) => detail).join('\n');
    expect(details?.match(/^leader, etcd 3\.6\./gm)).toHaveLength(1);
    expect(details?.match(/^follower, .*etcd 3\.6\./gm)).toHaveLength(2);
    expect(ran.code).toBe(0);
  });

  test('of which one does not answer: a warning, as the others serve', async () => {
    const gone = `http://127.0.0.1:${await freePort()}`;
    using fleet = await Fleet.make({ endpoints: [...etcd.endpoints.slice(0, 2), gone] });
    const { ran, checked } = await check(fleet, 'eu/prod');
    expect(stepsOf(checked)).toMatchObject({ [gone]: 'warn', 'snapshot, HashKV': 'ok' });
    expect(ran.code).toBe(0);
  });

  test('of which none answers: nothing works', async () => {
    const gone = `http://127.0.0.1:${await freePort()}`;
    using fleet = await Fleet.make({ endpoints: [gone] });
    const { ran, checked } = await check(fleet, 'eu/prod');
    expect(stepsOf(checked)).toEqual({ [gone]: 'fail' });
    expect(ran.code).toBe(1);
  });

  test('everything at once: what works and what does not', async () => {
    using fleet = await Fleet.make({ endpoints: etcd.endpoints });
    mkdirSync(fleet.folder.join('other'));
    fleet.write('Destination', 'other', { provider: 'filesystem', path: fleet.folder.join('other/gone') });
    const ran = await granary(['check', ...fleet.opened]);
    expect(ran.stdout).toContain('local (folder ');
    expect(ran.stdout).toContain('eu/prod (etcd, 3 endpoints)');
    expect(ran.stdout).toMatch(/Not ready: 1 of \d+ failed, at other\.\n$/);
    expect(ran.code).toBe(4);
  });
});

describeWith(['etcd-3.6', 'sops'], 'a cluster with authentication', () => {
  const password = freshSecret();
  let etcd: EtcdServer;
  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.6', auth: { password } });
    await etcd.etcdctl('user', 'add', 'reader', '--new-user-password', password);
  });
  afterAll(() => etcd.stop());

  async function checkAs(username: string, secret: string) {
    const fleet = await Fleet.make({
      endpoints: etcd.endpoints,
      cluster: { auth: { credential: 'etcd-prod' } },
    });
    using _ = fleet;
    fleet.seal('etcd-prod', 'etcd', { username, password: secret });
    return await check(fleet, 'eu/prod');
  }

  test('and a user with the role root', async () => {
    const { ran, checked } = await checkAs('root', password);
    expect(stepsOf(checked)).toMatchObject({ 'snapshot, HashKV': 'ok' });
    expect(ran.code).toBe(0);
  });

  test('and a user without it', async () => {
    const { ran, checked } = await checkAs('reader', password);
    const steps = checked.items[0]?.steps ?? [];
    expect(steps.find(({ verdict }) => verdict === 'fail')?.hint).toContain('grant-role reader root');
    expect(ran.code).not.toBe(0);
  });

  test('and a wrong password', async () => {
    const { ran, checked } = await checkAs('root', freshSecret());
    expect(stepsOf(checked)).toEqual({ [etcd.endpoints[0] ?? '']: 'fail' });
    expect(ran.code).toBe(1);
  });
});

describeWith(['etcd-3.6', 'openssl'], 'a cluster with TLS', () => {
  test('tells when its certificates end', async () => {
    await using etcd = await startEtcd({ version: '3.6', tls: true });
    const caFile = etcd.certificates?.caFile ?? '';
    using fleet = await Fleet.make({ endpoints: etcd.endpoints, cluster: { tls: { caFile } } });
    const { ran, checked } = await check(fleet, 'eu/prod');
    const step = checked.items[0]?.steps.find(({ name }) => name === 'certificates');
    // Test certificates live for a day.
    expect(step?.verdict).toBe('warn');
    expect(step?.detail).toMatch(/^the certificate of https:.* ends first, on \d{4}-/);
    expect(ran.code).toBe(0);
  });
});
