/** `granary get` of what is configured: who uses a credential, who made it, and never a value. */
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { describeWith } from '../servers/describe.ts';
import { Fleet, freshSecret } from './fleet.ts';
import { expectFailure, granary } from './granary.ts';

const endpoints = ['http://127.0.0.1:9'];
const keyId = 'AKIAEXAMPLE12345670F2';
let fleet: Fleet;

beforeEach(async () => {
  fleet = await Fleet.make({
    endpoints,
    destinations: {
      store: {
        provider: 's3',
        bucket: 'etcd',
        endpoint: 'https://s3.example',
        forcePathStyle: true,
        credential: 'key',
      },
      other: { provider: 's3', bucket: 'second', useInstanceRole: true, locality: 'internal' },
    },
  });
});

afterEach(() => {
  expect(fleet.leftInTemp()).toEqual([]);
  fleet[Symbol.dispose]();
});

function git(...args: string[]): void {
  execFileSync('git', args, { cwd: fleet.config, stdio: 'pipe' });
}

function commitAs(name: string, ...files: string[]): void {
  git('add', ...files);
  const who = ['-c', `user.name=${name}`, '-c', `user.email=${name.toLowerCase()}@acme.example`];
  git(...who, '-c', 'commit.gpgsign=false', 'commit', '-qm', 'change');
}

async function items(...words: string[]): Promise<Record<string, unknown>[]> {
  const ran = await granary(['get', ...words, '-o', 'json'], { env: fleet.env });
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  return JSON.parse(ran.stdout).items;
}

describeWith(['sops'], 'credentials', () => {
  test('who uses each, who made and changed it, and the ends of its key with the private key only', async () => {
    git('init', '-q');
    fleet.seal('key', 's3', { accessKeyId: keyId, secretAccessKey: freshSecret() });
    commitAs('Ann', '.');
    fleet.seal('key', 's3', { accessKeyId: keyId, secretAccessKey: freshSecret() });
    commitAs('Bob', 'key.sops.yaml');
    fleet.seal('new', 's3', { accessKeyId: keyId, secretAccessKey: freshSecret() });
    fleet.seal('shared', 'etcd', { username: 'granary', password: freshSecret() });
    const coordination = { endpoints, auth: { credential: 'shared' } };
    fleet.write('Seed', 'eu', { clusters: [{ name: 'prod', endpoints }], coordination });
    const [key, added, shared] = await items('credentials', ...fleet.opened);
    expect(shared).toMatchObject({ name: 'shared', accessKeyId: null, usedBy: ['eu'] });
    expect(key).toMatchObject({
      name: 'key',
      accessKeyId: 'AKIA…70F2',
      endpoints: ['https://s3.example'],
      usedBy: ['store'],
      createdBy: 'Ann <ann@acme.example>',
      lastModifiedBy: 'Bob <bob@acme.example>',
      locked: false,
      default: false,
    });
    expect(added).toMatchObject({ createdBy: 'not committed', createdAt: null, usedBy: [] });
    const closed = await items('credentials', ...fleet.source);
    expect(closed.map(({ accessKeyId }) => accessKeyId)).toEqual(['encrypted', 'encrypted', null]);

    const text = await granary(['get', 'credentials', ...fleet.opened], { env: fleet.env });
    expect(text.stdout.split('\n')[0]).toMatch(/^ID +ORGAN.* +LOCKED +DEFAULT$/);
    expect(text.stdout).not.toContain('acme.example');
    for (const line of text.stdout.split('\n')) expect([...line].length).toBeLessThanOrEqual(120);
  });

  test('a shallow clone says that it does not know, and so does a folder without Git', async () => {
    fleet.seal('key', 's3', { accessKeyId: keyId, secretAccessKey: freshSecret() });
    expect((await items('credentials', ...fleet.source))[0]).toMatchObject({ createdBy: 'unknown' });
    git('init', '-q');
    commitAs('Ann', '.');
    fleet.write('Seed', 'us', { enabled: false, clusters: [] });
    commitAs('Bob', '.');
    const shallow = fleet.folder.join('shallow');
    execFileSync('git', ['clone', '-q', '--depth', '1', `file://${fleet.config}`, shallow], {
      stdio: 'pipe',
    });
    expect((await items('credentials', '--path', shallow))[0]).toMatchObject({
      createdBy: 'unknown (shallow clone)',
      lastModifiedBy: 'unknown (shallow clone)',
    });
    const [whole] = await items('credentials', '--repo', `file://${fleet.config}`);
    expect(whole).toMatchObject({ createdBy: 'Ann <ann@acme.example>' });
  });

  test('file names and authors of all kinds', async () => {
    git('init', '-q');
    fleet.seal('key', 's3', { accessKeyId: keyId, secretAccessKey: freshSecret() });
    git('init', '-q');
    execFileSync('mkdir', ['-p', 'Zoë "x"/a b'], { cwd: fleet.config });
    execFileSync('mv', ['key.sops.yaml', 'Zoë "x"/a b/key.sops.yaml'], { cwd: fleet.config });
    commitAs('Zoë, "the" {author}', '.');
    const [key] = await items('credentials', ...fleet.source);
    expect(String(key?.createdBy)).toContain('Zoë, "the" {author}');
  });
});

test('seeds, clusters and destinations say what is off and why', async () => {
  fleet.write('Destination', 'store', {
    provider: 's3',
    bucket: 'etcd',
    organization: 'acme',
    useInstanceRole: true,
  });
  fleet.write('Seed', 'eu', { organization: 'acme', clusters: [{ name: 'prod', endpoints }] });
  fleet.write('Seed', 'us', { enabled: false, clusters: [{ name: 'b', endpoints }] });
  const seeds = await items('seeds', ...fleet.source, '--sort', '-name');
  expect(seeds.map(({ name, organization, backup }) => [name, organization, backup])).toEqual([
    ['us', null, 'off: the seed is disabled'],
    ['eu', 'acme', 'on'],
  ]);
  const internal = await items('destinations', ...fleet.source, '--filter', 'locality=internal');
  expect(internal).toMatchObject([{ name: 'other', location: 's3://second', useInstanceRole: true }]);
  const some = await items('clusters', ...fleet.source, '--filter', 'destinations=other');
  expect(some).toMatchObject([{ id: 'eu/prod' }]);
});

test('a field that is none, to filter or to sort by', async () => {
  fleet.write('Destination', 'store', { provider: 's3', bucket: 'etcd', useInstanceRole: true });
  for (const words of [
    ['seeds', '--filter', 'colour=red'],
    ['policies', '--sort', 'colour'],
    ['backups', '--sort', '-colour'],
  ]) {
    await expectFailure(['get', ...words, ...fleet.source], {
      code: 'usage',
      says: ['`colour`'],
      hint: 'known are',
    });
  }
});

test('the fields that may be named are those of the rows, also where there is no row', async () => {
  fleet.write('Destination', 'store', { provider: 's3', bucket: 'etcd', useInstanceRole: true });
  for (const kind of ['seeds', 'clusters', 'destinations', 'policies']) {
    const [row = {}] = await items(kind, ...fleet.source);
    const refused = await granary(['get', kind, '--sort', 'colour', ...fleet.source]);
    const known = /known are (.*)$/m.exec(refused.stderr)?.[1]?.split(', ');
    expect(known?.toSorted()).toEqual(Object.keys(row).sort());
  }
  expect(await items('credentials', ...fleet.source, '--sort', 'lastModifiedAt')).toEqual([]);
  await expectFailure(['get', 'credentials', '--sort', '-lastModifedAt', ...fleet.source], {
    code: 'usage',
    says: ['`lastModifedAt`'],
    hint: 'did you mean `lastModifiedAt`? known are name, type',
  });
});
