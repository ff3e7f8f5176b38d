/** Nothing but a bucket: listed, verified, inspected and restored from without a configuration, whatever holds it. */
import { chmodSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Destination } from '../../src/model/config.ts';
import type { Secret } from '../../src/secrets/secret.ts';
import { openStore } from '../../src/store/open.ts';
import { type AzuriteServer, startAzurite } from '../servers/azurite.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { type FakeGcsServer, startFakeGcs } from '../servers/fake-gcs.ts';
import { fillEtcd } from '../servers/keys.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import { createMinioUser } from '../servers/minio-admin.ts';
import { freePort } from '../servers/ports.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import {
  azureCredential,
  azureDestination,
  bucketName,
  gcsDestination,
  s3Credential,
  s3Destination,
} from '../store/destinations.ts';
import { key, noAbort } from '../store/support.ts';
import { Fleet } from './fleet.ts';
import { expectFailure, filesIn, granary, granaryJson, plant } from './granary.ts';

interface Listed {
  readonly items: readonly { readonly id: string; readonly destination: string; readonly keptBy: string[] }[];
}

describeWith(['etcd-3.6'], 'a bucket alone', () => {
  let etcd: EtcdServer;
  let fleet: Fleet;
  let id: string;
  let keyFile: string;
  let snapshot: Buffer;
  let work: TempFolder;

  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.6' });
    await fillEtcd(etcd, { keys: 300, valueBytes: 4_000 });
    const identity = plant(await generateX25519Identity());
    fleet = await Fleet.make({
      endpoints: etcd.endpoints,
      policy: { encryption: { recipients: [await identityToRecipient(identity)] } },
    });
    keyFile = fleet.folder.join('backup.key');
    writeFileSync(keyFile, `${identity}\n`, { mode: 0o600 });
    const { results } = await granaryJson<{ results: { id: string }[] }>(
      ['backup', 'eu/prod', ...fleet.opened],
      { env: fleet.env },
    );
    id = results[0]?.id ?? '';
    const file = fleet.folder.join('expected.db');
    await granary(['restore', id, '--to', file, ...fleet.source, '--age-key-file', keyFile], {
      env: fleet.env,
    });
    snapshot = readFileSync(file);
  });
  afterAll(async () => {
    await etcd.stop();
    fleet[Symbol.dispose]();
  });
  beforeEach(() => {
    work = tempFolder('bucket-alone');
    return () => work.remove();
  });

  /** All that lies in the folder, put into another store as it is. */
  async function copyInto(destination: Destination, credential: ReadonlyMap<string, Secret> | null) {
    const store = await openStore(destination, credential);
    for (const name of filesIn(fleet.folder.join('local')))
      await store.put(key(name), readFileSync(join(fleet.folder.join('local'), name)), noAbort());
    await store.close();
  }

  /** The four commands, without any configuration in sight. */
  async function expectAllWork(from: readonly string[], env: Record<string, string>): Promise<void> {
    const options = { cwd: work.path, env: { TMPDIR: work.path, ...env } };
    const [url = ''] = from.slice(1);
    const { items } = await granaryJson<Listed>(['get', 'backups', ...from], options);
    expect(items).toEqual([expect.objectContaining({ id, destination: url })]);
    const target = work.join('prod.db');
    const restored = await granary(
      ['restore', 'eu/prod', '--to', target, ...from, '--age-key-file', keyFile],
      options,
    );
    expect(restored).toMatchObject({ code: 0, stdout: expect.stringContaining(`written    ${target}\n`) });
    expect(readFileSync(target).equals(snapshot)).toBe(true);
    const inspected = await granaryJson<{ keys: number }>(
      ['inspect', id, ...from, '--age-key-file', keyFile],
      options,
    );
    expect(inspected.keys).toBe(300);
    const verified = await granary(['verify', ...from, '--age-key-file', keyFile], options);
    expect(verified).toMatchObject({ code: 0, stdout: expect.stringContaining(`ok    ${id}@${url}`) });
  }

  test('in a folder', async () => {
    await expectAllWork(['--from', `file://${fleet.folder.join('local')}`], {});
    const { items } = await granaryJson<Listed>([
      'get',
      'backups',
      '--from',
      `file://${fleet.folder.join('local')}`,
    ]);
    expect(items[0]?.keptBy.join()).not.toContain('orphaned');
  });

  test('that is another one is not taken for empty without a word', async () => {
    mkdirSync(work.join('empty'));
    const from = ['--from', `file://${work.join('empty')}`];
    const listed = await granary(['get', 'backups', ...from]);
    expect(listed).toMatchObject({ code: 0, stdout: 'There are no backups.\n' });
    expect(listed.stderr).toMatch(/^warning: there is no granary\.json at file:/);
    await expectFailure(['verify', ...from], {
      code: 'backup-not-found',
      says: ['there are no backups at file:'],
      hint: 'prefix',
    });
    await expectFailure(['restore', 'eu/prod', '--to', work.join('x.db'), ...from], {
      code: 'backup-not-found',
      says: ['there is no backup of eu/prod'],
      hint: 'is the prefix right?',
    });
    expect(filesIn(work.path)).toEqual([]);
  });

  test('has other clusters than one that is mistyped: they are named', async () => {
    const from = ['--from', `file://${fleet.folder.join('local')}`];
    for (const name of ['eu/prdo', 'eu/prdo/manual/20200101T000000Z']) {
      await expectFailure(['restore', name, '--to', work.join('x.db'), ...from], {
        code: 'backup-not-found',
        says: [`there is no backup ${name.includes('manual') ? '' : 'of '}${name}`],
        hint: 'did you mean `eu/prod`? there are backups of eu/prod',
      });
    }
    await expectFailure(['restore', 'eu/elsewhere', '--to', work.join('x.db'), ...fleet.source], {
      code: 'backup-not-found',
      says: ['there is no backup of eu/elsewhere'],
      hint: 'defined here are eu/prod',
    });
  });

  test.skipIf(process.getuid?.() !== 0)(
    'below a folder that this user may not search is not called missing',
    async () => {
      const folder = work.join('closed');
      cpSync(fleet.folder.join('local'), join(folder, 'backups'), { recursive: true });
      chmodSync(folder, 0o700);
      const from = `file://${folder}/backups`;
      await expectFailure(
        ['restore', 'eu/prod', '--to', 'x.db', '--from', from],
        { code: 'access-denied', says: [`${folder}/backups cannot be reached`], hint: 'folders above it' },
        { uid: 65_534 },
      );
    },
  );

  test('whose marker is damaged is read all the same, with a warning', async () => {
    cpSync(fleet.folder.join('local'), work.join('backups'), { recursive: true });
    writeFileSync(work.join('backups/granary.json'), 'not ours');
    const from = ['--from', `file://${work.join('backups')}`, '--age-key-file', keyFile];
    const told = expect.stringMatching(
      /^warning: the marker granary\.json at .* is invalid: .*; backups are read/m,
    );
    const restored = await granary(['restore', 'eu/prod', '--to', work.join('x.db'), ...from]);
    expect(restored).toMatchObject({ code: 0, stderr: told });
    const listed = await granary(['get', 'backups', ...from]);
    expect(listed).toMatchObject({ code: 0, stdout: expect.stringContaining(id), stderr: told });
    const verified = await granary(['verify', ...from]);
    expect(verified).toMatchObject({ code: 0, stdout: expect.stringContaining(`ok    ${id}@`) });
    const moved = fleet
      .read('destination-local.yaml')
      .replaceAll(fleet.folder.join('local'), work.join('backups'));
    const config = work.join('config');
    cpSync(fleet.config, config, { recursive: true });
    writeFileSync(join(config, 'destination-local.yaml'), moved);
    const words = [
      'restore',
      'eu/prod',
      '--to',
      work.join('y.db'),
      '--path',
      config,
      '--age-key-file',
      keyFile,
    ];
    expect(await granary(words)).toMatchObject({ code: 0 });
  });

  test('is the way that is named where the configuration is broken or gone', async () => {
    const config = work.join('config');
    mkdirSync(config);
    const restore = ['restore', 'eu/prod', '--to', work.join('x.db')];
    const hint = '`--from` names their bucket';
    await expectFailure([...restore, '--path', config], { code: 'config-not-found', says: [config], hint });
    await expectFailure(['get', 'backups', '--path', config], {
      code: 'config-not-found',
      says: [config],
      hint,
    });
    cpSync(fleet.config, config, { recursive: true });
    writeFileSync(join(config, 'destination-local.yaml'), 'kind: [Destination');
    const broken = { code: 'config-invalid', says: ['destination-local.yaml'], hint } as const;
    await expectFailure([...restore, '--path', config], broken);
    cpSync(join(fleet.config, 'destination-local.yaml'), join(config, 'destination-local.yaml'));
    writeFileSync(join(config, 'seed-eu.yaml'), 'kind: [Seed');
    const ran = await granary([...restore, '--path', config, '--age-key-file', keyFile]);
    expect(ran).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(
        /^warning: there is no seed eu in what could be read: the configuration has errors: /m,
      ),
    });
    await expectFailure([...restore, '--repo', work.join('nowhere')], {
      code: 'git-failed',
      says: ['nowhere'],
      hint,
    });
  });

  test('that does not exist', async () => {
    await expectFailure(['restore', 'eu/prod', '--to', 'x.db', '--from', `file://${work.join('nowhere')}`], {
      code: 'bucket-missing',
      says: [work.join('nowhere')],
      hint: '',
    });
  });

  test.each([
    ['ftp://bucket/prefix', [], 'is no address of a bucket', 's3://BUCKET/PREFIX'],
    ['s3://bucket//prefix', [], 'is no address of a bucket', 's3://BUCKET/PREFIX'],
    ['azblob://account', [], 'is no address of a bucket', 'azblob://ACCOUNT/CONTAINER/PREFIX'],
    ['file://elsewhere/folder', [], 'names no folder of this machine', 'path from the root'],
    ['gs://bucket', ['--region', 'eu'], '--region has no meaning for gs://bucket', 'leave it out'],
    ['s3://bucket', ['--ca-file', '/nowhere.pem'], 'certificate file /nowhere.pem does not exist', 'BEGIN'],
    ['s3://bucket', ['--path', '.'], '--path', 'granary'],
  ])('%s %j is refused', async (url, more, says, hint) => {
    const ran = await granary(['restore', 'eu/prod', '--to', 'x.db', '--from', url, ...more]);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(says);
    expect(ran.stderr.split('\n').find((line) => line.startsWith('hint: '))).toContain(hint);
  });

  test('has no seeds to list, and its options go with nothing else', async () => {
    await expectFailure(['get', 'seeds', '--from', 's3://bucket'], {
      code: 'usage',
      says: ['a bucket alone has no seeds'],
      hint: 'granary get backups',
    });
    await expectFailure(['get', 'backups', '--endpoint', 'http://localhost'], {
      code: 'usage',
      says: ['belong to --from'],
      hint: 'Destination',
    });
  });

  describeWith(['minio'], 'in MinIO', () => {
    let minio: MinioServer;
    const bucket = bucketName();
    beforeAll(async () => {
      minio = await startMinio();
      plant(minio.secretAccessKey);
      await minio.createBucket(bucket);
      await copyInto(s3Destination(minio, { bucket, prefix: 'some/prefix' }), s3Credential(minio));
    });
    afterAll(() => minio.stop());

    test('with a key in the environment', async () => {
      const from = ['--from', `s3://${bucket}/some/prefix`, '--endpoint', minio.endpoint, '--path-style'];
      const { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY } = minio;
      await expectAllWork(from, { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY });
    });

    test('with a key that may only read: warnings, and the file all the same', async () => {
      const user = await createMinioUser(minio, {
        Version: '2012-10-17',
        Statement: [
          { Effect: 'Allow', Action: ['s3:ListBucket'], Resource: [`arn:aws:s3:::${bucket}`] },
          { Effect: 'Allow', Action: ['s3:GetObject'], Resource: [`arn:aws:s3:::${bucket}/*`] },
        ],
      });
      const env = {
        AWS_ACCESS_KEY_ID: user.accessKeyId,
        AWS_SECRET_ACCESS_KEY: plant(user.secretAccessKey),
        // As other programs know it.
        AWS_ENDPOINT_URL_S3: minio.endpoint,
      };
      const from = ['--from', `s3://${bucket}/some/prefix/`];
      const target = work.join('prod.db');
      const restored = await granary(
        ['restore', 'eu/prod', '--to', target, ...from, '--age-key-file', keyFile],
        { env: { TMPDIR: work.path, ...env } },
      );
      expect(restored).toMatchObject({ code: 0 });
      expect(restored.stderr).toMatch(/^warning: no lease on s3:.*access denied/m);
      expect(readFileSync(target).equals(snapshot)).toBe(true);
    });

    test('with a wrong key, and with none', async () => {
      const from = ['--from', `s3://${bucket}/some/prefix`, '--endpoint', minio.endpoint];
      const wrong = { AWS_ACCESS_KEY_ID: minio.accessKeyId, AWS_SECRET_ACCESS_KEY: plant('0'.repeat(30)) };
      await expectFailure(
        ['get', 'backups', ...from],
        { code: 'invalid-credentials', says: ['Invalid S3 credentials'], hint: 'secret access key' },
        { env: wrong },
      );
      const none = { AWS_EC2_METADATA_DISABLED: 'true' };
      await expectFailure(
        ['get', 'backups', ...from],
        { code: 'invalid-credentials', says: ['s3:'], hint: 'AWS_ACCESS_KEY_ID' },
        { env: none },
      );
    });
  });

  describeWith(['minio', 'openssl'], 'in MinIO with an authority of its own', () => {
    test('that --ca-file or AWS_CA_BUNDLE names', async () => {
      await using minio = await startMinio({ tls: true });
      const bucket = bucketName();
      await minio.createBucket(bucket);
      await copyInto(s3Destination(minio, { bucket }), s3Credential(minio));
      const from = ['--from', `s3://${bucket}`, '--endpoint', minio.endpoint];
      const { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY } = minio;
      const env = { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY };
      await expectFailure(
        ['get', 'backups', ...from],
        { code: 'tls-untrusted', says: ['destination s3:'], hint: '--ca-file' },
        { env },
      );
      await expectAllWork([...from, '--ca-file', minio.caFile ?? ''], env);
      const listed = await granary(['get', 'backups', ...from], {
        env: { ...env, AWS_CA_BUNDLE: minio.caFile ?? '' },
      });
      expect(listed).toMatchObject({ code: 0, stdout: expect.stringContaining(id) });
    });
  });

  describeWith(['azurite'], 'in Azurite', () => {
    let azurite: AzuriteServer;
    beforeAll(async () => {
      azurite = await startAzurite();
      plant(azurite.accountKey);
    });
    afterAll(() => azurite.stop());

    test.each([
      ['AZURE_STORAGE_KEY', () => azurite.accountKey],
      [
        'AZURE_STORAGE_CONNECTION_STRING',
        () =>
          `AccountName=${azurite.account};AccountKey=${azurite.accountKey};EndpointSuffix=core.windows.net`,
      ],
    ])('with %s', async (name, value) => {
      const container = bucketName();
      await azurite.createContainer(container);
      await copyInto(azureDestination(azurite, { container, prefix: 'some' }), azureCredential(azurite));
      const url = `azblob://${azurite.account}/${container}/some`;
      await expectAllWork(['--from', url, '--endpoint', azurite.endpoint], { [name]: value() });
    });
  });

  describeWith(['fake-gcs-server'], 'in fake-gcs-server', () => {
    let gcs: FakeGcsServer;
    beforeAll(async () => {
      gcs = await startFakeGcs();
    });
    afterAll(() => gcs.stop());

    // With http:// no token is ever sent; who signs in with what is in `test/store/gcs-sign-in.test.ts`.
    test('that asks for no credentials', async () => {
      const bucket = bucketName();
      await gcs.createBucket(bucket);
      await copyInto(gcsDestination(gcs.endpoint, { bucket, prefix: 'some' }), null);
      await expectAllWork(['--from', `gs://${bucket}/some`, '--endpoint', gcs.endpoint], {});
    });
  });

  test('behind an address where nobody listens is told by that address', async () => {
    const endpoint = `http://127.0.0.1:${await freePort()}`;
    await expectFailure(
      ['get', 'backups', '--from', 's3://bucket', '--endpoint', endpoint],
      {
        code: 'store-unreachable',
        says: ['destination s3://bucket: nothing listens at 127.0.0.1'],
        hint: 'host and port of the endpoint',
      },
      { env: { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' } },
    );
  });
});
