/** Credentials of a commit: opened when needed, remembered, replaced for a trial. */
import { execFileSync } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadConfiguration } from '../../src/config/index.ts';
import { Credentials, type CredentialsOptions } from '../../src/execute/credentials.ts';
import { etcdTarget } from '../../src/execute/etcd-target.ts';
import { loadChecked } from '../../src/execute/lint.ts';
import { loadIdentities } from '../../src/secrets/identities.ts';
import { RememberedCredentials } from '../../src/secrets/remembered.ts';
import { Secret } from '../../src/secrets/secret.ts';
import { Fleet, freshSecret } from '../cli/fleet.ts';
import { describeWith } from '../servers/describe.ts';
import { tempFolder } from '../servers/temp.ts';

describeWith(['sops'], 'credentials of a commit', () => {
  async function credentialsOf(fleet: Fleet, more: Partial<CredentialsOptions> = {}): Promise<Credentials> {
    const identities = await loadIdentities({ files: [], env: { SOPS_AGE_KEY: fleet.identity } });
    return new Credentials(fleet.config, await loadChecked(fleet.config), { identities, ...more });
  }

  test('where the two readers differ it is an error, and a warning for who must go on', async () => {
    using fleet = await Fleet.make({ endpoints: ['http://127.0.0.1:9'] });
    // sops-age drops a byte order mark at the start of a value.
    fleet.seal('odd', 's3', { accessKeyId: '\uFEFFAKIA', secretAccessKey: freshSecret() });
    await expect((await credentialsOf(fleet)).open('odd')).rejects.toMatchObject({ code: 'sops-invalid' });
    const notes: string[] = [];
    const lenient = await credentialsOf(fleet, { onDisagreement: (note) => notes.push(note) });
    expect((await lenient.open('odd')).get('accessKeyId')?.reveal()).toBe('\uFEFFAKIA');
    expect(notes).toEqual([expect.stringContaining('data.accessKeyId')]);
  });

  test('what is accepted is remembered, what was refused or only tried is not', async () => {
    using fleet = await Fleet.make({ endpoints: ['http://127.0.0.1:9'] });
    fleet.seal('key', 's3', { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: freshSecret() });
    const remembered = new RememberedCredentials(fleet.folder.join('state'));
    const instead = new Map([['key', new Map([['accessKeyId', new Secret('AKIANEW')]])]]);
    const trial = await credentialsOf(fleet, { remembered, instead });
    expect((await trial.open('key')).get('accessKeyId')?.reveal()).toBe('AKIANEW');
    await remembered.check('key', 'x', '2001-01-01T00:00:00Z');
    await (await credentialsOf(fleet, { remembered })).open('key');
    await expect(remembered.check('key', 'x', '2001-01-01T00:00:00Z')).rejects.toMatchObject({
      code: 'sops-replayed',
    });
    await remembered.accept('key', 'x', '2099-01-01T00:00:00Z');
    const refused = await credentialsOf(fleet, { remembered });
    await expect(refused.open('key')).rejects.toMatchObject({ code: 'sops-replayed' });
    await expect(refused.open('nobody')).rejects.toMatchObject({ code: 'unknown-object' });
  });
});

test('what is no file of a certificate’s size is not read as one: a device never ends', async () => {
  using folder = tempFolder('pem');
  const nobody = new Credentials(folder.path, await loadConfiguration(folder.path), {
    identities: await loadIdentities({ files: [], env: {} }),
  });
  const open = (caFile: string) => {
    const tls = { credential: null, caFile, certFile: null, keyFile: null, serverName: null };
    const endpoints = ['https://127.0.0.1:9'];
    const position = { file: 'seed.yaml', line: 1, column: 1 };
    const cluster = { name: 'a', labels: {}, enabled: true, endpoints, tls, auth: null, position };
    return etcdTarget('eu', cluster, nobody);
  };
  writeFileSync(folder.join('ca.crt'), 'x');
  expect((await open(folder.join('ca.crt'))).tls?.ca).toBe('x');
  truncateSync(folder.join('ca.crt'), 5 * 2 ** 20);
  execFileSync('mkfifo', [folder.join('pipe')]);
  for (const file of [folder.join('ca.crt'), folder.join('pipe'), '/dev/zero'])
    await expect(open(file)).rejects.toThrow(`${file} is no PEM file`);
});
