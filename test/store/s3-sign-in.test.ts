/** Whom requests are signed as: sessions, the role of a machine, roles assumed by STS. */
import { once as listening } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { S3Destination } from '../../src/model/config.ts';
import { type GranaryError, isGranaryError } from '../../src/model/errors.ts';
import { stsPlaceOf } from '../../src/store/drivers/s3-sts.ts';
import { type OpenOptions, openStore } from '../../src/store/open.ts';
import { describeWith } from '../servers/describe.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import { createMinioUser } from '../servers/minio-admin.ts';
import { freePorts } from '../servers/ports.ts';
import type { S3Server } from '../servers/s3-server.ts';
import { tempFolder } from '../servers/temp.ts';
import { startVersitygw } from '../servers/versitygw.ts';
import { bucketName, s3Credential, s3Destination } from './destinations.ts';
import { MetadataStub, realSession, type Session, StsStub } from './role-stubs.ts';
import { codeOf, key, noAbort } from './support.ts';

const roleArn = 'arn:aws:iam::123456789012:role/granary-writer';
const externalId = 'a-shared-word';
const once: OpenOptions = { retry: { attempts: 1 } };

async function errorOf(work: Promise<unknown>): Promise<GranaryError> {
  const error = await work.then(
    () => 'it succeeded',
    (thrown: unknown) => thrown,
  );
  if (isGranaryError(error)) return error;
  throw error;
}

/** Moves the clock of this process, and of nothing else; a store takes what is off by less than a quarter of an hour. */
function passTime(ms: number): void {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + ms });
}

afterEach(() => {
  vi.unstubAllEnvs();
  vi.useRealTimers();
});

describeWith(['minio'], 'signing in to S3', () => {
  let server: MinioServer;
  let bucket: string;
  let session: Session;
  beforeAll(async () => {
    server = await startMinio();
    session = await realSession(server);
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    bucket = bucketName();
    await server.createBucket(bucket);
    // Nothing of the machine that runs the tests may sign in for them.
    for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) vi.stubEnv(name, undefined);
    vi.stubEnv('HOME', '/nonexistent');
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  });

  const withoutKey = (changes: Partial<S3Destination>, options: OpenOptions = once) =>
    openStore(s3Destination(server, { bucket, ...changes }), null, options);
  const withKey = (
    changes: Partial<S3Destination>,
    secrets: Record<string, string> = {},
    options: OpenOptions = once,
  ) => openStore(s3Destination(server, { bucket, ...changes }), s3Credential(server, secrets), options);
  const write = async (opening: ReturnType<typeof openStore>) => {
    await using stack = new AsyncDisposableStack();
    const store = stack.adopt(await opening, (one) => one.close());
    await store.put(key('k'), Buffer.from('x'), noAbort());
  };

  describe('a session token', () => {
    test('goes with its keys', async () => {
      await write(withKey({}, { ...session }));
    });

    test('keys of a session are refused without it', async () => {
      const { sessionToken: _left, ...keys } = session;
      expect(await codeOf(write(withKey({}, keys)))).toBe('invalid-credentials');
    });
  });

  describe('the role of the machine', () => {
    let stub: MetadataStub;
    beforeEach(async () => {
      stub = await new MetadataStub(session).listen();
      vi.stubEnv('AWS_EC2_METADATA_DISABLED', undefined);
      vi.stubEnv('AWS_EC2_METADATA_SERVICE_ENDPOINT', stub.endpoint);
    });
    afterEach(() => stub[Symbol.asyncDispose]());

    test('comes from its metadata service, once for many requests', async () => {
      const store = await withoutKey({ useInstanceRole: true });
      for (const name of ['a', 'b', 'c']) await store.put(key(name), Buffer.from('x'), noAbort());
      expect(stub.asked.filter((one) => one.endsWith('/node-role'))).toHaveLength(1);
      await store.close();
    });

    test('is asked for again before it ends', async () => {
      const store = await withoutKey({ useInstanceRole: true });
      stub.lifetimeMs = 240_000;
      await store.put(key('a'), Buffer.from('x'), noAbort());
      passTime(31_000);
      await store.put(key('b'), Buffer.from('x'), noAbort());
      expect(stub.asked.filter((one) => one.endsWith('/node-role'))).toHaveLength(2);
      await store.close();
    });

    test('is not replaced by keys in the environment or in a profile', async () => {
      using folder = tempFolder('profile');
      const { accessKeyId, secretAccessKey } = server;
      writeFileSync(
        folder.join('credentials'),
        `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`,
      );
      vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', folder.join('credentials'));
      // Both would do: without the switch they are taken.
      await write(withoutKey({}));
      stub.hasRole = false;
      expect(await codeOf(write(withoutKey({ useInstanceRole: true })))).toBe('invalid-credentials');
      vi.stubEnv('AWS_ACCESS_KEY_ID', accessKeyId);
      vi.stubEnv('AWS_SECRET_ACCESS_KEY', secretAccessKey);
      await write(withoutKey({}));
      expect(await codeOf(write(withoutKey({ useInstanceRole: true })))).toBe('invalid-credentials');
    });

    test('that a machine has not is told, with where it was looked for', async () => {
      stub.hasRole = false;
      const error = await errorOf(write(withoutKey({ useInstanceRole: true })));
      expect(error.message).toMatch(/^Invalid S3 credentials: the role of this machine \(http:/);
      expect(error.message).toContain(stub.endpoint);
      expect(error.hint).toMatch(/instance profile/);
    });

    test('where no metadata service is, or it is switched off', async () => {
      const [port] = await freePorts(1);
      vi.stubEnv('AWS_EC2_METADATA_SERVICE_ENDPOINT', `http://127.0.0.1:${port}`);
      expect(await codeOf(write(withoutKey({ useInstanceRole: true })))).toBe('invalid-credentials');
      vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
      const error = await errorOf(write(withoutKey({ useInstanceRole: true })));
      expect(error.message).toContain('AWS_EC2_METADATA_DISABLED');
    });

    test('of a container comes from its own address', async () => {
      vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', `${stub.endpoint}/role`);
      vi.stubEnv('AWS_CONTAINER_AUTHORIZATION_TOKEN', stub.containerToken);
      await write(withoutKey({ useInstanceRole: true }));
      expect(stub.asked).toEqual(['GET /role']);
    });

    test('of a container that is refused does not give way to that of the machine', async () => {
      vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', `${stub.endpoint}/role`);
      vi.stubEnv('AWS_CONTAINER_AUTHORIZATION_TOKEN', 'wrong');
      const error = await errorOf(write(withoutKey({ useInstanceRole: true })));
      expect([error.code, error.message]).toEqual([
        'invalid-credentials',
        expect.stringContaining('the role of this container'),
      ]);
      expect(new Set(stub.asked)).toEqual(new Set(['GET /role']));
    }, 20_000);

    test('is not there beside a credential', async () => {
      expect(await codeOf(withKey({ useInstanceRole: true }))).toBe('store-misconfigured');
    });
  });

  describe('a role that is assumed', () => {
    let sts: StsStub;
    let user: { accessKeyId: string; secretAccessKey: string };
    beforeAll(async () => {
      const Statement = [{ Effect: 'Allow', Action: ['s3:*'], Resource: ['arn:aws:s3:::*'] }];
      user = await createMinioUser(server, { Version: '2012-10-17', Statement });
    });
    beforeEach(async () => {
      const accessKeyIds = [server.accessKeyId, session.accessKeyId];
      sts = await new StsStub({ roleArn, externalId, accessKeyIds }, session).listen();
    });
    afterEach(() => sts[Symbol.asyncDispose]());

    const atStub = () => vi.stubEnv('AWS_ENDPOINT_URL_STS', sts.endpoint);
    const assumeRole = { roleArn, externalId };

    test('at the store itself, where it answers STS', async () => {
      await write(withKey({ assumeRole }, { ...user }));
      await write(withKey({ assumeRole: { roleArn, externalId: null } }, { ...user }));
    });

    test('at the store itself, by TLS with its own authority', async () => {
      await using secure = await startMinio({ tls: true });
      await secure.createBucket(bucket);
      const destination = s3Destination(secure, { bucket, assumeRole });
      await write(openStore(destination, s3Credential(secure), once));
    });

    test.each([
      ['a wrong secret', { secretAccessKey: 'wrong-and-hidden' }],
      ['an unknown key', { accessKeyId: 'AKIA-hidden-and-unknown', secretAccessKey: 'wrong-and-hidden' }],
    ])('with %s is told as for any request', async (_name, secrets) => {
      const error = await errorOf(write(withKey({ assumeRole }, secrets)));
      expect(error.code).toBe('invalid-credentials');
      expect(error.message).toMatch(/^Invalid S3 credentials/);
      expect(inspect(error, { depth: 10, showHidden: true })).not.toMatch(
        /wrong-and-hidden|hidden-and-unknown/,
      );
    });

    test('with keys and the external id, under a name of its own', async () => {
      atStub();
      await write(withKey({ assumeRole }, {}, { ...once, sessionName: 'granary-eu-west' }));
      expect(sts.asked).toMatchObject([
        {
          ...{ Action: 'AssumeRole', RoleArn: roleArn, ExternalId: externalId },
          ...{ RoleSessionName: 'granary-eu-west', signer: server.accessKeyId },
        },
      ]);
    });

    test('with the role of the machine', async () => {
      await using stub = await new MetadataStub(session).listen();
      vi.stubEnv('AWS_EC2_METADATA_DISABLED', undefined);
      vi.stubEnv('AWS_EC2_METADATA_SERVICE_ENDPOINT', stub.endpoint);
      atStub();
      await write(withoutKey({ useInstanceRole: true, assumeRole }));
      expect(sts.asked).toMatchObject([{ signer: session.accessKeyId, RoleSessionName: 'granary-agent' }]);
      stub.hasRole = false;
      const error = await errorOf(write(withoutKey({ useInstanceRole: true, assumeRole })));
      expect([error.code, error.message]).toEqual([
        'invalid-credentials',
        expect.stringContaining('the role of this machine'),
      ]);
    });

    test('with what the environment has, where nothing else is named', async () => {
      vi.stubEnv('AWS_ACCESS_KEY_ID', server.accessKeyId);
      vi.stubEnv('AWS_SECRET_ACCESS_KEY', server.secretAccessKey);
      atStub();
      await write(withoutKey({ assumeRole }));
      expect(sts.asked).toMatchObject([{ signer: server.accessKeyId }]);
    });

    test.each([
      ['a wrong external id', { roleArn, externalId: 'another' }, /compare `externalId`/],
      ['no external id', { roleArn, externalId: null }, /set `externalId` in `assumeRole`/],
      ['another role', { roleArn: `${roleArn}-2`, externalId }, /trust policy/],
    ])('%s is refused, with who asked for what', async (_name, asked, hint) => {
      atStub();
      const error = await errorOf(write(withKey({ assumeRole: asked })));
      expect(error.code).toBe('access-denied');
      const { accessKeyId } = server;
      expect(error.message).toMatch(new RegExp(`${accessKeyId.slice(0, 4)}….* may not assume the role`));
      expect(error.message).toContain(asked.roleArn);
      expect(error.message).not.toContain(externalId);
      expect(error.hint).toMatch(hint);
    });

    test('is renewed before it ends, and not sooner', async () => {
      atStub();
      const store = await withKey({ assumeRole });
      const puts = async (...names: string[]) => {
        for (const name of names) await store.put(key(name), Buffer.from('x'), noAbort());
      };
      sts.lifetimeMs = 240_000;
      await puts('a', 'b');
      expect(sts.asked).toHaveLength(1);
      sts.lifetimeMs = 3_600_000;
      passTime(31_000);
      await puts('b', 'c', 'd');
      expect(sts.asked).toHaveLength(2);
      await store.close();
    });

    test('serves on while STS is away, until it ends', async () => {
      atStub();
      const store = await withKey({ assumeRole });
      const put = () => store.put(key('k'), Buffer.from('x'), noAbort());
      sts.lifetimeMs = 240_000;
      await put();
      sts.failure = { status: 503, code: 'ServiceUnavailable' };
      passTime(31_000);
      await put();
      await put();
      expect(sts.asked).toHaveLength(2);
      passTime(190_000);
      const error = await errorOf(put());
      expect([error.code, error.message]).toEqual([
        'store-busy',
        expect.stringMatching(/^assuming the role .*granary-writer: /),
      ]);
      await store.close();
    });

    test('ends where it is refused from now on', async () => {
      atStub();
      const store = await withKey({ assumeRole });
      sts.lifetimeMs = 240_000;
      await store.put(key('k'), Buffer.from('x'), noAbort());
      sts.failure = { status: 403, code: 'AccessDenied' };
      passTime(31_000);
      expect(await codeOf(store.put(key('k'), Buffer.from('x'), noAbort()))).toBe('access-denied');
      await store.close();
    });

    test('a request is repeated while STS is busy', async () => {
      atStub();
      const store = await withKey({ assumeRole }, {}, { retry: { baseMs: 30, capMs: 60 } });
      sts.failure = { status: 429, code: 'Throttling' };
      sts.failuresLeft = 2;
      await store.put(key('k'), Buffer.from('x'), noAbort());
      expect(sts.asked).toHaveLength(3);
      await store.close();
    });

    test.each([
      ['ValidationError', 400, 'store-misconfigured', /roleArn/],
      ['RegionDisabledException', 403, 'wrong-region', /activate STS/],
      ['ExpiredToken', 403, 'invalid-credentials', /temporary/],
      ['RequestTimeTooSkewed', 403, 'clock-skew', /NTP/],
    ])('%s (%i) of STS is %s', async (code, status, wanted, hint) => {
      atStub();
      sts.failure = { status, code };
      const error = await errorOf(write(withKey({ assumeRole })));
      expect([error.code, error.hint]).toEqual([wanted, expect.stringMatching(hint)]);
    });

    test('nothing listens at STS', async () => {
      const [port] = await freePorts(1);
      vi.stubEnv('AWS_ENDPOINT_URL_STS', `http://127.0.0.1:${port}`);
      const error = await errorOf(write(withKey({ assumeRole })));
      expect([error.code, error.message]).toEqual([
        'store-unreachable',
        `assuming the role ${roleArn}: nothing listens at 127.0.0.1:${port}`,
      ]);
    });

    test('a pod signs in with its token, and may assume another role with that', async () => {
      using folder = tempFolder('token');
      writeFileSync(folder.join('token'), 'the-token');
      vi.stubEnv('AWS_WEB_IDENTITY_TOKEN_FILE', folder.join('token'));
      vi.stubEnv('AWS_ROLE_ARN', roleArn);
      atStub();
      sts.trust = { ...sts.trust, webIdentityToken: 'the-token' };
      await write(withoutKey({ useInstanceRole: true }));
      expect(sts.asked).toMatchObject([
        { Action: 'AssumeRoleWithWebIdentity', RoleArn: roleArn, signer: '' },
      ]);
      await write(withoutKey({ useInstanceRole: true, assumeRole }));
      expect(sts.asked.at(-1)).toMatchObject({ Action: 'AssumeRole', signer: session.accessKeyId });

      writeFileSync(folder.join('token'), 'another');
      const refused = await errorOf(write(withoutKey({ useInstanceRole: true })));
      expect([refused.code, refused.message]).toEqual([
        'access-denied',
        expect.stringMatching(/^this pod may not assume the role/),
      ]);
      vi.stubEnv('AWS_WEB_IDENTITY_TOKEN_FILE', folder.join('none'));
      const missing = await errorOf(write(withoutKey({ useInstanceRole: true })));
      expect([missing.code, missing.message]).toEqual([
        'invalid-credentials',
        expect.stringContaining('ENOENT'),
      ]);
    });

    test('an abort does not wait for STS', async () => {
      const hung = createServer(() => {}).listen(0, '127.0.0.1');
      await listening(hung, 'listening');
      const { port } = hung.address() as AddressInfo;
      vi.stubEnv('AWS_ENDPOINT_URL_STS', `http://127.0.0.1:${port}`);
      const store = await withKey({ assumeRole });
      const begun = performance.now();
      await expect(
        store.put(key('k'), Buffer.from('x'), { signal: AbortSignal.timeout(100) }),
      ).rejects.toThrow(/timeout/);
      expect(performance.now() - begun).toBeLessThan(30_000);
      await store.close();
      hung.close();
    });
  });
});

describeWith(['versitygw'], 'a store without STS', () => {
  test('says so', async () => {
    await using server: S3Server = await startVersitygw();
    await server.createBucket('test');
    const destination = s3Destination(server, { assumeRole: { roleArn, externalId } });
    const store = await openStore(destination, s3Credential(server), once);
    const error = await errorOf(store.put(key('k'), Buffer.from('x'), noAbort()));
    expect([error.code, error.hint]).toEqual(['store-misconfigured', expect.stringMatching(/STS/)]);
    await store.close();
  });
});

describe('where roles are assumed', () => {
  const place = { region: 'eu-central-1', endpoint: null, ca: undefined };
  test.each([
    ['AWS', place, {}, null],
    [
      'a store with an endpoint',
      { ...place, endpoint: 'https://minio.example:9000' },
      {},
      'https://minio.example:9000',
    ],
    [
      'AWS by an endpoint of a VPC',
      { ...place, endpoint: 'https://bucket.vpce-1a2b-3c4d.s3.eu-central-1.vpce.amazonaws.com' },
      {},
      null,
    ],
    [
      'AWS by both IP versions',
      { ...place, endpoint: 'https://s3.dualstack.eu-central-1.amazonaws.com' },
      {},
      null,
    ],
    [
      'a store that only sounds like it',
      { ...place, endpoint: 'https://amazonaws.com.example' },
      {},
      'https://amazonaws.com.example',
    ],
    [
      'what the environment names',
      { ...place, endpoint: 'https://minio.example:9000' },
      { AWS_ENDPOINT_URL_STS: 'https://sts.example' },
      'https://sts.example',
    ],
  ])('%s', (_name, given, env, endpoint) => {
    expect(stsPlaceOf(given, env).endpoint).toBe(endpoint);
  });
});
