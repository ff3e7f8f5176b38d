/** What receivers are sent, by real servers in this process, and what becomes of it when they do not take it. */
import { createHmac } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLog } from '../../../src/agent/log.ts';
import type { Finding } from '../../../src/agent/notify/conditions.ts';
import { commitPage, statusUrl } from '../../../src/agent/notify/forges.ts';
import { lookAtConfiguration, lookAtSource } from '../../../src/agent/notify/looks.ts';
import { Notifier } from '../../../src/agent/notify/notifier.ts';
import { packageVersion } from '../../../src/execute/version.ts';
import { openWorkspace, type Workspace } from '../../../src/execute/workspace.ts';
import { openSource } from '../../../src/git/source.ts';
import type { Plan } from '../../../src/model/generated/plan.ts';
import { loadIdentities } from '../../../src/secrets/identities.ts';
import { Fleet, freshSecret } from '../../cli/fleet.ts';
import { expectNoSecret, plant } from '../../cli/granary.ts';
import { root } from '../../house/repository.ts';
import { makeCertificates } from '../../servers/certificates.ts';
import { describeWith } from '../../servers/describe.ts';
import { freePort } from '../../servers/ports.ts';
import { tempFolder } from '../../servers/temp.ts';
import { Endpoint } from './endpoint.ts';

const commit = 'c'.repeat(40);
const refused = 'd'.repeat(40);
const start = new Date('2026-11-21T14:03:00Z');

function finding(key: string, part: Partial<Finding> = {}): Finding {
  return {
    ...{ type: 'failure', origin: 'run', key, cluster: 'prod', policy: 'hourly', destination: null },
    ...{ slot: null, code: 'etcd-auth', message: `${key} went wrong: <a&b>`, hint: 'mend it', commit },
    mayPass: false,
    ...part,
  };
}
const plan = {
  commit,
  summary: { add: 2, change: 1, remove: 0, backup: 1, delete: 0, blocked: 0 },
} as Plan;

describeWith(['sops'], 'receivers', () => {
  let fleet: Fleet;
  let endpoint: Endpoint;
  let lines: Record<string, unknown>[];
  let results: string[];
  let now: Date;
  const open: Notifier[] = [];

  beforeEach(async () => {
    fleet = await Fleet.make({ endpoints: ['http://127.0.0.1:1'] });
    endpoint = await Endpoint.start();
    [lines, results, now] = [[], [], start];
  });
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close(0);
    const text = lines.map((line) => JSON.stringify(line)).join('\n');
    expectNoSecret(text, 'the log');
    expect(text).not.toContain(endpoint.says === 'ok' ? '\u0000' : endpoint.says);
    await endpoint[Symbol.asyncDispose]();
    fleet[Symbol.dispose]();
  });

  /** A Credential of type token; gives its name. */
  function seal(name: string, token: string, spec: object = {}): string {
    fleet.seal(name, 'token', { token }, spec);
    return name;
  }

  async function workspace(...notifications: object[]): Promise<Workspace> {
    fleet.write('Repository', 'fleet', { notifications });
    const source = await openSource({ path: fleet.config }, { signal: new AbortController().signal });
    const identities = await loadIdentities({ files: [fleet.keyFile], env: {} });
    return openWorkspace(source, { identities });
  }

  async function notifier(config: Workspace, stateFolder: string | null = null): Promise<Notifier> {
    const one = await Notifier.open({
      ...{ now: () => now, stateFolder },
      log: createLog({ write: (line) => lines.push(JSON.parse(line)), terminal: false, color: false }),
      onResult: (type, ok) => results.push(`${type} ${ok ? 'sent' : 'failed'}`),
      send: { timeoutMs: 1_000, pausesMs: [10, 10] },
    });
    open.push(one);
    one.use(config);
    return one;
  }

  /** Ticks until something fits. */
  async function ticking<T>(one: Notifier, done: Promise<T>): Promise<T> {
    const timer = setInterval(() => one.tick(), 10);
    one.tick();
    try {
      return await done;
    } finally {
      clearInterval(timer);
    }
  }

  /** Long enough for whatever would be sent wrongly. */
  async function quiet(one: Notifier): Promise<void> {
    await ticking(one, pause(150));
  }

  const logged = async (msg: string, count = 1) => {
    while (lines.filter((line) => line.msg === msg).length < count) await pause(5);
    return lines.findLast((line) => line.msg === msg);
  };

  const look = (one: Notifier, ...found: Finding[]) =>
    one.look({ seed: 'eu', found, endOf: () => 'it works again' });

  test('a webhook: one signed request for each event, as the page describes it', async () => {
    const key = freshSecret();
    const github = {
      type: 'github',
      url: endpoint.url('/acme/fleet.git'),
      credential: seal('gh', freshSecret()),
      on: ['stale'],
    };
    const one = await notifier(
      await workspace(
        { type: 'webhook', url: endpoint.url('/hook?x=1'), credential: seal('key', `${key}\n`) },
        github,
      ),
    );
    plant(key);
    look(one, finding('backup'), finding('bad', { type: 'corruption', destination: 'local' }));
    const first = await ticking(
      one,
      endpoint.until(({ path }) => path === '/hook?x=1'),
    );
    await ticking(
      one,
      endpoint.until(({ body }) => body.includes('"failure"')),
    );
    await ticking(one, logged('notification sent', 2));
    now = new Date('2026-11-21T14:21:00Z');
    look(one);
    await ticking(
      one,
      endpoint.until(({ body }) => body.includes('"recovery"')),
    );
    await quiet(one);

    const hooks = endpoint.requests.filter(({ path }) => path === '/hook?x=1');
    expect(hooks).toHaveLength(4);
    expect(first).toMatchObject({ method: 'POST', headers: { 'content-type': 'application/json' } });
    expect(first.headers['user-agent']).toBe(`granary/${packageVersion()}`);
    expect(first.headers.authorization).toBeUndefined();
    for (const { body, headers } of hooks) {
      const signature = createHmac('sha256', key).update(body).digest('hex');
      expect(headers['x-granary-signature']).toBe(`sha256=${signature}`);
    }
    const bodies = endpoint.bodies('/hook?x=1');
    expect(bodies.map(({ event, recovered }) => [event, recovered])).toEqual([
      ['corruption', null],
      ['failure', null],
      ['recovery', 'failure'],
      ['recovery', 'corruption'],
    ]);
    expect(bodies[1]).toEqual({
      formatVersion: 1,
      id: expect.stringMatching(/^[0-9a-f]{32}$/),
      ...{
        event: 'failure',
        recovered: null,
        reminder: false,
        seed: 'eu',
        cluster: 'prod',
        policy: 'hourly',
      },
      ...{ destination: null, code: 'etcd-auth', message: 'backup went wrong: <a&b>', hint: 'mend it' },
      ...{ since: start.toISOString(), time: start.toISOString(), commit },
      url: endpoint.url(`/acme/fleet/commit/${commit}`),
    });
    expect(bodies[2]).toMatchObject({
      ...{ id: bodies[1]?.id, since: start.toISOString(), time: now.toISOString(), hint: null },
      message: 'it works again (it was: backup went wrong: <a&b>)',
    });
    const page = readFileSync(join(root, 'docs/notifications.md'), 'utf8');
    const blocks = [...page.matchAll(/```json\n([\s\S]*?)```/g)].map(([, text = '']) => JSON.parse(text));
    const ajv = new Ajv({ strict: false });
    addFormats.default(ajv);
    const validate = ajv.compile({ ...blocks[1], additionalProperties: false });
    for (const body of [blocks[0], ...bodies]) {
      expect(validate(body), JSON.stringify(validate.errors)).toBe(true);
    }
    expect(lines[0]).toMatchObject({ type: 'webhook', host: endpoint.host, msg: 'notification sent' });
  });

  test('a webhook whose URL is the secret: nothing is signed', async () => {
    const secret = plant(freshSecret());
    const one = await notifier(
      await workspace({ type: 'webhook', credential: seal('hook', endpoint.url(`/${secret}`)) }),
    );
    look(one, finding('backup'));
    const { path, headers } = await ticking(
      one,
      endpoint.until(() => true),
    );
    expect(path).toBe(`/${secret}`);
    expect(headers['x-granary-signature']).toBeUndefined();
    await logged('notification sent');
  });

  test('slack: one message for all that came together, escaped, the worst first and the rest counted', async () => {
    const one = await notifier(
      await workspace({ type: 'slack', credential: seal('hook', endpoint.url('/services/T/B/x')) }),
    );
    const many = Array.from({ length: 25 }, (_, index) => finding(`f${index}`));
    look(one, ...many, finding('bad', { type: 'corruption', hint: null }));
    await ticking(
      one,
      endpoint.until(() => true),
    );
    await quiet(one);
    expect(endpoint.requests).toHaveLength(1);
    expect(endpoint.requests[0]?.headers['content-type']).toBe('application/json');
    const [{ text = '', ...rest } = {}] = endpoint.bodies<{ text?: string }>('/services/T/B/x');
    expect(rest).toEqual({});
    expect(text.split('\n')[0]).toBe(
      'damaged eu/prod hourly: bad went wrong: &lt;a&amp;b&gt; (since 2026-11-21 14:03 UTC)',
    );
    expect(text).toContain(
      'failed eu/prod hourly: f0 went wrong: &lt;a&amp;b&gt; (since 2026-11-21 14:03 UTC)\nhint: mend it\n',
    );
    expect(text).toMatch(/\nand 6 more$/);
    expect(text).not.toContain('f20 ');
  });

  test('github: the status of the commit in use, and of a refused one', async () => {
    const token = freshSecret();
    const one = await notifier(
      await workspace({
        type: 'github',
        url: endpoint.url('/acme/fleet.git'),
        credential: seal('gh', token),
      }),
    );
    const path = `/api/v3/repos/acme/fleet/statuses/${commit}`;
    one.passed('eu', plan);
    const first = await ticking(
      one,
      endpoint.until(() => true),
    );
    expect(first).toMatchObject({ method: 'POST', path });
    expect(first.headers).toMatchObject({
      accept: 'application/vnd.github+json',
      authorization: `Bearer ${token}`,
      'x-github-api-version': '2022-11-28',
      'content-type': 'application/json',
    });
    expect(JSON.parse(first.body)).toEqual({
      state: 'success',
      context: 'granary/eu',
      description: 'applied: 2 added, 1 changed, 0 removed; 1 to back up, 0 blocked',
    });
    one.passed('eu', { ...plan, summary: { ...plan.summary, backup: 7 } });
    await quiet(one);
    expect(endpoint.requests).toHaveLength(1);

    look(one, finding('backup', { message: 'm'.repeat(400) }), finding('other'));
    await ticking(
      one,
      endpoint.until(({ body }) => body.includes('failure')),
    );
    const [, failed = {}] = endpoint.bodies(path);
    expect(failed.state).toBe('failure');
    expect(failed.description).toHaveLength(140);
    expect(failed.description).toMatch(/^failed eu\/prod hourly: m+… \(and 1 more\)$/);

    one.look(
      lookAtConfiguration('eu', { code: 'config-invalid', message: 'a.yaml:1:1: no', hint: null }, refused),
    );
    const other = await ticking(
      one,
      endpoint.until((request) => request.path.endsWith(refused)),
    );
    expect(JSON.parse(other.body)).toMatchObject({
      state: 'failure',
      description: 'failed eu: the configuration is refused, and the last good one goes on: a.yaml:1:1: no',
    });
    look(one);
    await ticking(
      one,
      endpoint.until(({ body }) => body.includes('success') && endpoint.bodies(path).length === 3),
    );
    await quiet(one);
    expect(endpoint.bodies(path).map(({ state }) => state)).toEqual(['success', 'failure', 'success']);
  });

  test('gitlab: the same in its words, with the project as one word of the path', async () => {
    const token = freshSecret();
    const one = await notifier(
      await workspace({
        type: 'gitlab',
        url: endpoint.url('/acme/ops/fleet'),
        credential: seal('gl', token),
      }),
    );
    one.passed('eu', plan);
    look(one, finding('backup', { message: 'm'.repeat(400) }));
    const { path, headers, body } = await ticking(
      one,
      endpoint.until(() => true),
    );
    expect(path).toBe(`/api/v4/projects/acme%2Fops%2Ffleet/statuses/${commit}`);
    expect(headers.authorization).toBe(`Bearer ${token}`);
    expect(JSON.parse(body)).toEqual({
      state: 'failed',
      name: 'granary/eu',
      description: expect.stringMatching(/^failed eu\/prod hourly: m{200,}…$/),
    });
    expect(JSON.parse(body).description).toHaveLength(255);
    look(one);
    await ticking(
      one,
      endpoint.until((request) => JSON.parse(request.body).state === 'success'),
    );
  });

  test('a heartbeat after each pass, and never while something is wrong', async () => {
    const secret = plant(freshSecret());
    const one = await notifier(
      await workspace({ type: 'heartbeat', credential: seal('beat', endpoint.url(`/${secret}`)) }),
    );
    one.passed('eu', plan);
    const first = await ticking(
      one,
      endpoint.until(() => true),
    );
    expect(first).toMatchObject({ method: 'GET', path: `/${secret}`, body: '' });
    one.passed('eu', plan);
    await ticking(one, pause(100));
    expect(endpoint.requests).toHaveLength(2);

    // Found once, and it may pass: nobody is told, and still all is not well.
    look(one, finding('backup', { mayPass: true }));
    one.passed('eu', plan);
    one.look(lookAtSource({ code: 'git-auth', message: 'no', hint: null }, 0));
    one.passed('us', plan);
    await quiet(one);
    expect(endpoint.requests).toHaveLength(2);

    look(one, finding('lock', { type: 'guard', code: 'locked-destination' }));
    one.look(lookAtSource(null, 0));
    await quiet(one);
    expect(endpoint.requests).toHaveLength(2);
    one.passed('eu', plan);
    await quiet(one);
    expect(endpoint.requests).toHaveLength(3);
    expect(new Set(results)).toEqual(new Set(['heartbeat sent']));
    expect(lines).toEqual([]);
  });

  test('a heartbeat with {seed} is one for each seed; without, the ill one silences all', async () => {
    const url = endpoint.url('/{seed}');
    const one = await notifier(
      await workspace(
        { type: 'heartbeat', url },
        { type: 'heartbeat', url: endpoint.url('/all'), credential: seal('b', 'a-token-of-the-beat') },
      ),
    );
    look(one, finding('backup'));
    for (const seed of ['eu', 'us']) one.passed(seed, plan);
    await quiet(one);
    expect(endpoint.requests.map(({ path }) => path)).toEqual(['/us']);
    look(one);
    for (const seed of ['eu', 'us']) one.passed(seed, plan);
    await quiet(one);
    expect(endpoint.requests.map(({ path }) => path).sort()).toEqual(['/all', '/eu', '/us', '/us']);
    const all = endpoint.requests.find(({ path }) => path === '/all');
    expect(all?.headers.authorization).toBe('Bearer a-token-of-the-beat');
  });

  test('a receiver whose credential is for other seeds hears nothing of this one', async () => {
    fleet.write('Seed', 'us', { clusters: [{ name: 'x', endpoints: ['http://127.0.0.1:1'] }] });
    const name = seal('us-hook', endpoint.url('/us'), { seeds: ['us'] });
    const one = await notifier(await workspace({ type: 'webhook', credential: name }));
    look(one, finding('backup'));
    one.look({ seed: 'us', found: [finding('of us')], endOf: () => null });
    await ticking(
      one,
      endpoint.until(() => true),
    );
    await quiet(one);
    expect(endpoint.bodies('/us').map(({ seed }) => seed)).toEqual(['us']);
  });

  test('a restart neither repeats nor forgets; what the file holds is for its owner only', async () => {
    using state = tempFolder('state');
    const secret = plant(freshSecret());
    const config = await workspace({ type: 'webhook', credential: seal('hook', endpoint.url(`/${secret}`)) });
    const first = await notifier(config, state.path);
    look(first, finding('one'), finding('two'));
    await ticking(
      first,
      endpoint.until(({ body }) => body.includes('two went')),
    );
    await first.close(1_000);
    const file = state.join('notifications.json');
    expectNoSecret(readFileSync(file, 'utf8'), file);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(state.path)).toEqual(['notifications.json']);

    const second = await notifier(config, state.path);
    look(second, finding('one'));
    await ticking(
      second,
      endpoint.until(({ body }) => body.includes('recovery')),
    );
    look(second, finding('one'));
    await quiet(second);
    await second.close(1_000);
    const heard = endpoint.bodies(`/${secret}`).map(({ event, message }) => `${event} ${message}`);
    expect(heard).toEqual([
      'failure one went wrong: <a&b>',
      'failure two went wrong: <a&b>',
      'recovery it works again (it was: two went wrong: <a&b>)',
    ]);

    // Nobody is to be told any more: nothing is to be remembered.
    const third = await notifier(await workspace(), state.path);
    await third.close(1_000);
    expect(readdirSync(state.path)).toEqual([]);
    writeFileSync(file, '{"formatVersion":');
    const fourth = await notifier(config, state.path);
    expect(await logged('memory of notifications not usable')).toMatchObject({ level: 'warn' });
    look(fourth, finding('one'));
    await ticking(
      fourth,
      endpoint.until(() => endpoint.requests.length === 4),
    );
  });

  test('killed in the middle, what was taken is remembered', async () => {
    using state = tempFolder('state');
    const config = await workspace({ type: 'webhook', url: endpoint.url('/') });
    const first = await notifier(config, state.path);
    look(first, finding('one'));
    await ticking(
      first,
      endpoint.until(() => true),
    );
    await quiet(first);
    // Nothing is closed.
    const second = await notifier(config, state.path);
    look(second, finding('one'));
    await quiet(second);
    expect(endpoint.requests).toHaveLength(1);
  });

  test('a receiver that is ill is tried three times, then left alone, and then told what is still true', async () => {
    endpoint.answer = 500;
    endpoint.says = 'an answer that nobody should read';
    const one = await notifier(await workspace({ type: 'webhook', url: endpoint.url('/') }));
    look(one, finding('one'), finding('two'));
    const failed = await ticking(one, logged('notification failed'));
    expect(endpoint.requests).toHaveLength(3);
    expect(failed).toMatchObject({
      level: 'warn',
      type: 'webhook',
      host: endpoint.host,
      error: {
        code: 'notification-failed',
        message: `${endpoint.host} could not be notified: it answers with status 500`,
      },
    });
    await quiet(one);
    now = new Date(now.getTime() + 45_000);
    await quiet(one);
    expect(endpoint.requests).toHaveLength(3);

    endpoint.answer = 204;
    look(one, finding('two'));
    now = new Date(now.getTime() + 16_000);
    await ticking(one, logged('notification sent'));
    await quiet(one);
    expect(
      endpoint
        .bodies('/')
        .slice(3)
        .map(({ message }) => message),
    ).toEqual(['two went wrong: <a&b>']);
    expect(results).toEqual(['webhook failed', 'webhook sent']);
  });

  test('a new configuration makes it try at once', async () => {
    endpoint.answer = 404;
    const config = await workspace({ type: 'webhook', url: endpoint.url('/') });
    const one = await notifier(config);
    look(one, finding('one'));
    await ticking(one, logged('notification failed'));
    expect(endpoint.requests).toHaveLength(1);
    endpoint.answer = 200;
    await quiet(one);
    expect(endpoint.requests).toHaveLength(1);
    one.use(config);
    await ticking(one, logged('notification sent'));
  });

  test('a redirect is not followed', async () => {
    await using other = await Endpoint.start();
    endpoint.answer = 307;
    endpoint.location = other.url('/elsewhere');
    const one = await notifier(
      await workspace({ type: 'webhook', url: endpoint.url('/'), credential: seal('key', freshSecret()) }),
    );
    look(one, finding('one'));
    const failed = await ticking(one, logged('notification failed'));
    expect(failed).toMatchObject({
      error: {
        code: 'notification-refused',
        message: `${endpoint.host} does not take notifications: it answers with status 307, a redirect, which is not followed`,
        hint: 'give the URL that it redirects to',
      },
    });
    expect(endpoint.requests).toHaveLength(1);
    expect(other.requests).toEqual([]);
  });

  test('nobody there, nobody answers, no trusted certificate', async () => {
    using folder = tempFolder('certificates');
    await using secure = await Endpoint.start(makeCertificates(folder.path).server);
    const secret = plant(freshSecret());
    endpoint.answer = 'hang';
    const dead = `127.0.0.1:${await freePort()}`;
    const one = await notifier(
      await workspace(
        { type: 'webhook', credential: seal('dead', `http://${dead}/${secret}`) },
        { type: 'webhook', credential: seal('hanging', endpoint.url(`/${secret}`)) },
        { type: 'webhook', credential: seal('secure', secure.url(`/${secret}`)) },
      ),
    );
    look(one, finding('one'));
    await ticking(one, logged('notification failed', 3));
    const told = Object.fromEntries(lines.map(({ credential, error }) => [credential, error]));
    expect(told).toMatchObject({
      dead: { code: 'notification-failed', message: `${dead} could not be notified: nothing listens there` },
      hanging: {
        code: 'notification-failed',
        message: `${endpoint.host} could not be notified: no answer within 1 s`,
      },
      secure: {
        code: 'tls-untrusted',
        message: expect.stringMatching(`^the certificate of ${secure.host} is not trusted \\([A-Z_]+\\)$`),
        hint: 'an authority of your own goes into a file that NODE_EXTRA_CA_CERTS names',
      },
    });
    expect(endpoint.requests).toHaveLength(3);
    expect(secure.requests).toEqual([]);
  });

  test('a token that is no URL, or one that is not safe, is said without being shown', async () => {
    const secrets = [
      'not a url',
      'http://hooks.example/',
      'https://user:pw@hooks.example/',
      'ftp://hooks.example/',
    ].map((text) => plant(`${text}${freshSecret()}`));
    for (const [index, secret] of secrets.entries()) seal(`t${index}`, secret);
    const one = await notifier(
      await workspace(...secrets.map((_, index) => ({ type: 'slack', credential: `t${index}` }))),
    );
    look(one, finding('one'));
    await ticking(one, logged('notification failed', 4));
    expect(
      Object.fromEntries(lines.map(({ credential, error }) => [credential, (error as Error).message])),
    ).toEqual({
      t0: 'no notification is sent: the token of credential t0 is no https:// URL',
      t1: 'no notification is sent: the token of credential t1 is http://: everybody on the way could read it',
      t2: 'no notification is sent: the token of credential t2 has a user or a password in it',
      t3: 'no notification is sent: the token of credential t3 is no https:// URL',
    });
    expect(lines.every(({ host }) => host === null)).toBe(true);
  });

  test('ends at once where a receiver hangs, and in the time it is given', async () => {
    endpoint.answer = 'hang';
    const one = await notifier(await workspace({ type: 'webhook', url: endpoint.url('/') }));
    look(one, finding('one'));
    await ticking(
      one,
      endpoint.until(() => true),
    );
    const began = performance.now();
    await one.close(100);
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(lines).toEqual([]);
    expect(results).toEqual([]);
  });

  test('a seed that is not served any more is over', async () => {
    const one = await notifier(await workspace({ type: 'webhook', url: endpoint.url('/') }));
    look(one, finding('one'));
    await ticking(one, logged('notification sent'));
    one.serve(['us']);
    await ticking(
      one,
      endpoint.until(({ body }) => body.includes('the seed is not served here any more')),
    );
  });
});

test.each([
  ['github', 'https://github.com/acme/fleet', 'https://api.github.com/repos/acme/fleet/statuses/C'],
  ['github', 'https://github.com/acme/fleet.git/', 'https://api.github.com/repos/acme/fleet/statuses/C'],
  ['github', 'https://api.github.com/repos/acme/fleet', 'https://api.github.com/repos/acme/fleet/statuses/C'],
  ['github', 'https://acme.ghe.com/ops/fleet', 'https://api.acme.ghe.com/repos/ops/fleet/statuses/C'],
  [
    'github',
    'https://git.example:8443/ops/fleet',
    'https://git.example:8443/api/v3/repos/ops/fleet/statuses/C',
  ],
  [
    'github',
    'https://git.example/api/v3/repos/ops/fleet',
    'https://git.example/api/v3/repos/ops/fleet/statuses/C',
  ],
  ['gitlab', 'https://gitlab.com/acme/fleet', 'https://gitlab.com/api/v4/projects/acme%2Ffleet/statuses/C'],
  ['gitlab', 'https://gitlab.com/a/b/c.git', 'https://gitlab.com/api/v4/projects/a%2Fb%2Fc/statuses/C'],
  ['gitlab', 'https://host/gitlab/api/v4/projects/12', 'https://host/gitlab/api/v4/projects/12/statuses/C'],
  ['gitlab', 'https://host/api/v4/projects/a%2Fb', 'https://host/api/v4/projects/a%2Fb/statuses/C'],
] as const)('%s takes the status of a commit of %s', (forge, url, expected) => {
  expect(statusUrl(forge, new URL(url), 'C').href).toBe(expected);
});

test.each([
  ['github', 'https://github.com/acme'],
  ['github', 'https://github.com/a/b/c'],
  ['gitlab', 'https://gitlab.com/fleet'],
] as const)('%s: %s is no repository', (forge, url) => {
  expect(() => statusUrl(forge, new URL(url), 'C')).toThrow(
    `the \`url\` of a ${forge} notification names no repository`,
  );
});

test('pages of commits', () => {
  const page = (forge: 'github' | 'gitlab', url: string) => commitPage(forge, new URL(url), 'C');
  expect(page('github', 'https://github.com/acme/fleet.git')).toBe('https://github.com/acme/fleet/commit/C');
  expect(page('gitlab', 'https://gitlab.com/a/b/c')).toBe('https://gitlab.com/a/b/c/-/commit/C');
  expect(page('github', 'https://api.github.com/repos/acme/fleet')).toBeNull();
  expect(page('gitlab', 'https://host/gitlab/api/v4/projects/12')).toBeNull();
});
