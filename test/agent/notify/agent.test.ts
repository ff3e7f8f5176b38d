/** The agent as its users run it, and receivers that listen: what they are told of a cluster that fails and is mended. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { Fleet, freshSecret } from '../../cli/fleet.ts';
import { expectNoSecret, filesIn, plant } from '../../cli/granary.ts';
import { Repository } from '../../git/repository-fixture.ts';
import { type Certificates, makeCertificates } from '../../servers/certificates.ts';
import { describeWith } from '../../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../../servers/etcd.ts';
import { freePort } from '../../servers/ports.ts';
import { type TempFolder, tempFolder } from '../../servers/temp.ts';
import { RunningAgent } from '../running-agent.ts';
import { Endpoint } from './endpoint.ts';

describeWith(['etcd-3.4', 'sops'], 'an agent that notifies', () => {
  let etcd: EtcdServer;
  let certificates: Certificates;
  let folder: TempFolder;
  beforeAll(async () => {
    folder = tempFolder('authority');
    certificates = makeCertificates(folder.path);
    etcd = await startEtcd({ version: '3.4' });
  });
  afterAll(async () => {
    folder.remove();
    await etcd.stop();
  });

  let fleet: Fleet;
  let endpoint: Endpoint;
  let repository: Repository;
  /** A secret in the place of a path. */
  let secret: string;
  beforeEach(async () => {
    fleet = await Fleet.make({ endpoints: etcd.endpoints });
    endpoint = await Endpoint.start(certificates.server);
    endpoint.says = plant(freshSecret());
    secret = plant(freshSecret());
    repository = new Repository(fleet.config);
    mkdirSync(fleet.folder.join('state'));
  });
  afterEach(async () => {
    await endpoint[Symbol.asyncDispose]();
    fleet[Symbol.dispose]();
  });

  function agent(...more: string[]): RunningAgent {
    const state = ['--state', fleet.folder.join('state')];
    return new RunningAgent(['--repo', fleet.config, '--age-key-file', fleet.keyFile, ...state, ...more], {
      NODE_EXTRA_CA_CERTS: certificates.caFile,
    });
  }

  function endpointsOf(endpoints: readonly string[]): void {
    fleet.write('Seed', 'eu', { clusters: [{ name: 'prod', endpoints }] });
  }

  /** Everything that an agent printed, answers and keeps. */
  async function expectDiscreet(one: RunningAgent): Promise<void> {
    expectNoSecret(one.lines.map((line) => JSON.stringify(line)).join('\n'), 'its log');
    expectNoSecret(one.stderr, 'its stderr');
    for (const path of ['/metrics', '/readyz']) expectNoSecret((await one.get(path)).text, path);
    const state = fleet.folder.join('state');
    for (const file of filesIn(state)) expectNoSecret(readFileSync(join(state, file), 'utf8'), file);
  }

  test('a failure and its end, once each, through a restart; the commit, and the heartbeat', async () => {
    fleet.seal('hook', 'token', { token: endpoint.url(`/hook/${secret}`) });
    fleet.seal('slack', 'token', { token: endpoint.url(`/slack/${secret}`) });
    fleet.seal('beat', 'token', { token: endpoint.url(`/beat/${secret}`) });
    const token = freshSecret();
    fleet.seal('api', 'token', { token });
    fleet.write('Repository', 'fleet', {
      notifications: [
        { type: 'webhook', credential: 'hook' },
        { type: 'slack', credential: 'slack', on: ['failure', 'recovery'] },
        { type: 'github', url: endpoint.url('/acme/fleet'), credential: 'api' },
        { type: 'gitlab', url: endpoint.url('/acme/fleet'), credential: 'api' },
        { type: 'heartbeat', credential: 'beat' },
      ],
    });
    endpointsOf([`http://127.0.0.1:${await freePort()}`]);
    const first = repository.commit('a cluster that is not there', {});
    const [hook, slack, beat] = ['hook', 'slack', 'beat'].map((name) => `/${name}/${secret}`);
    if (hook === undefined || slack === undefined) throw new Error('no paths');
    const statuses = (commit: string) =>
      endpoint.bodies(`/api/v3/repos/acme/fleet/statuses/${commit}`).map(({ state }) => state);

    await using killed = agent();
    const failure = JSON.parse((await endpoint.until(({ path }) => path === hook)).body);
    expect(failure).toMatchObject({
      ...{ formatVersion: 1, event: 'failure', seed: 'eu', cluster: 'prod', policy: 'hourly' },
      ...{ code: 'etcd-unreachable', commit: first, url: endpoint.url(`/acme/fleet/commit/${first}`) },
    });
    expect(failure.message).toMatch(/^backup failed: /);
    // Found once it is no news; the second try came about five seconds later.
    expect(killed.lines.filter(({ msg }) => msg === 'backup failed').length).toBeGreaterThan(1);
    await endpoint.until(({ path }) => path === slack);
    await endpoint.until(({ path, body }) => path.includes('/api/v4/') && body.includes('failed'));
    await endpoint.until(({ path, body }) => path.includes('/api/v3/') && body.includes('failure'));
    expect(statuses(first)).toEqual(['success', 'failure']);
    await pause(2_500);
    expect(await killed.metric('granary_notifications_total{type="webhook",result="sent"}')).toBe(1);
    await expectDiscreet(killed);
    killed.kill('SIGKILL');
    await killed.exited;

    await using second = agent();
    await second.logged('backup failed');
    const failed = () => second.lines.filter(({ msg }) => msg === 'backup failed').length;
    while (failed() < 2) await pause(50);
    await pause(2_500);
    expect(endpoint.bodies(hook)).toHaveLength(1);
    expect(endpoint.bodies(slack)).toHaveLength(1);
    expect(endpoint.requests.filter(({ path }) => path === beat).length).toBeLessThanOrEqual(1);

    const before = endpoint.requests.filter(({ path }) => path === beat).length;
    endpointsOf(etcd.endpoints);
    const mended = repository.commit('mended', {});
    await second.logged('backup done');
    const recovery = JSON.parse((await endpoint.until(({ body }) => body.includes('"recovery"'))).body);
    expect(recovery).toMatchObject({ recovered: 'failure', id: failure.id, since: failure.since });
    expect(recovery.message).toMatch(/^backed up again \(it was: backup failed: /);
    await endpoint.until(
      ({ path, body }) => path === slack && body.includes('recovered eu/prod hourly after'),
    );
    await endpoint.until(({ path, body }) => path.endsWith(mended) && body.includes('success'));
    // The next pass is the first without failure.
    fleet.writePolicy('hourly', { destinations: ['local'], keep: { last: 4 } });
    repository.commit('another pass', {});
    while (endpoint.requests.filter(({ path }) => path === beat).length === before) await pause(50);
    await second.logged('notification sent', { type: 'github', commit: mended });
    second.kill('SIGTERM');
    expect(await second.exited).toEqual({ code: 0, signal: null });
    expect(endpoint.bodies(hook).map(({ event }) => event)).toEqual(['failure', 'recovery']);
    expect(endpoint.bodies(slack)).toHaveLength(2);
    expectNoSecret(second.lines.map((line) => JSON.stringify(line)).join('\n'), 'its log');
    const state = fleet.folder.join('state');
    for (const file of filesIn(state)) expectNoSecret(readFileSync(join(state, file), 'utf8'), file);
    expect(second.lines.filter(({ msg }) => msg === 'notification failed')).toEqual([]);
  });

  test('a refused commit, a destination that is gone, and a copy that proved bad', async () => {
    fleet.seal('hook', 'token', { token: endpoint.url(`/hook/${secret}`) });
    fleet.seal('api', 'token', { token: freshSecret() });
    fleet.write('Repository', 'fleet', {
      notifications: [
        { type: 'webhook', credential: 'hook' },
        { type: 'github', url: endpoint.url('/acme/fleet'), credential: 'api' },
      ],
    });
    const first = repository.commit('first', {});
    const told = async (event: string, code: string) =>
      JSON.parse(
        (await endpoint.until(({ body }) => body.includes(`"event":"${event}"`) && body.includes(code))).body,
      );
    await using one = agent();
    await one.logged('backup done');

    const policy = fleet.read('policy-hourly.yaml');
    fleet.writeText('policy-hourly.yaml', policy.replace('"keep"', '"kepe"'));
    const bad = repository.commit('a mistake', {});
    expect(await told('failure', 'config-invalid')).toMatchObject({ seed: 'eu', cluster: null, commit: bad });
    const status = await endpoint.until(({ path }) => path.endsWith(bad));
    expect(JSON.parse(status.body)).toMatchObject({ state: 'failure', context: 'granary/eu' });
    expect(JSON.parse(status.body).description).toMatch(/^failed eu: the configuration is refused/);

    const backup = filesIn(fleet.folder.join('local')).find((file) => file.endsWith('/manifest.json')) ?? '';
    const proof = join(dirname(backup), 'proof-20261121T140000Z-read-bad.json');
    writeFileSync(fleet.folder.join('local', proof), '{}');
    fleet.writeText('policy-hourly.yaml', policy);
    fleet.write('Destination', 'gone', { provider: 'filesystem', path: fleet.folder.join('nowhere') });
    fleet.writePolicy('hourly', { destinations: ['local', 'gone'] });
    repository.commit('mended', {});
    expect(await told('recovery', 'config-invalid')).toMatchObject({ commit: bad });
    expect(await told('corruption', 'bad-proof')).toMatchObject({
      ...{ cluster: 'prod', policy: 'hourly', destination: 'local' },
      hint: '`granary verify --repair` copies a sound copy over it where there is one',
    });
    expect(await told('guard', 'destination-unknown')).toMatchObject({ destination: 'gone', cluster: null });
    const states = endpoint.bodies(`/api/v3/repos/acme/fleet/statuses/${first}`).map(({ state }) => state);
    expect(states).toEqual(['success']);
    await expectDiscreet(one);
  });

  test('a receiver that hangs delays neither backups nor the end', async () => {
    fleet.seal('hook', 'token', { token: endpoint.url(`/hook/${secret}`) });
    fleet.write('Repository', 'fleet', { notifications: [{ type: 'webhook', credential: 'hook' }] });
    const dead = `http://127.0.0.1:${await freePort()}`;
    fleet.write('Seed', 'eu', {
      clusters: [
        { name: 'dead', endpoints: [dead] },
        { name: 'prod', endpoints: etcd.endpoints },
      ],
    });
    endpoint.answer = 'hang';
    repository.commit('first', {});
    await using one = agent();
    await endpoint.until(() => true);
    fleet.writePolicy('other', { destinations: ['local'] });
    repository.commit('another policy', {});
    await one.logged('backup done', { policy: 'other' });
    const began = performance.now();
    one.kill('SIGTERM');
    expect(await one.exited).toEqual({ code: 0, signal: null });
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(one.lines.at(-1)?.msg).toBe('agent ended');
    expect(one.lines.filter(({ msg }) => msg === 'notification sent')).toEqual([]);

    // What it was not told is told by the next agent.
    endpoint.answer = 200;
    endpoint.requests.length = 0;
    await using next = agent();
    await endpoint.until(({ body }) => body.includes('"failure"') && body.includes('"dead"'));
    await next.logged('notification sent');
  });
});
