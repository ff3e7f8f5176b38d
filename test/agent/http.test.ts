import { createHmac } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect, type Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, describe, expect, test } from 'vitest';
import { type Access, openToAll, serve } from '../../src/agent/http.ts';
import { makeMetrics } from '../../src/agent/metrics.ts';
import { type AgentState, newAgentState, newSeedState } from '../../src/agent/state.ts';
import { isGranaryError } from '../../src/model/errors.ts';
import { makeCertificates } from '../servers/certificates.ts';
import { tempFolder } from '../servers/temp.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const start = new Date('2026-11-21T14:00:00Z');
const local = { host: '127.0.0.1', port: 0 };
const problem = {
  code: 'unknown-object',
  message: 'there is no seed in the configuration',
  hint: null,
} as const;

function open(
  state: AgentState,
  options: { now?: () => Date; port?: number; access?: Partial<Access>; onPush?: () => void } = {},
) {
  const { now = () => start, port = 0, access = {}, onPush = () => {} } = options;
  const metrics = makeMetrics(state, now);
  return serve({
    listen: { ...local, port },
    access: { ...openToAll, ...access },
    state,
    metrics,
    now,
    onPush,
  });
}

async function ask(state: AgentState, path: string, now = start) {
  await using server = await open(state, { now: () => now });
  const response = await fetch(`${server.url}${path}`);
  return { status: response.status, text: await response.text() };
}

test('healthy as long as the loop ticks', async () => {
  const state = newAgentState(start);
  expect((await ask(state, '/healthz', new Date('2026-11-21T14:00:30Z'))).status).toBe(200);
  const late = await ask(state, '/healthz', new Date('2026-11-21T14:00:31Z'));
  expect(late).toEqual({ status: 503, text: '{"ok":false,"reason":"the loop has not moved for 31 s"}' });
});

test('ready only with a valid configuration for every seed, and not while it drains', async () => {
  const state = newAgentState(start);
  expect(await ask(state, '/readyz')).toMatchObject({ status: 503 });
  state.problem = problem;
  expect((await ask(state, '/readyz')).text).toContain(problem.message);
  state.problem = null;
  const seed = newSeedState('eu');
  state.seeds.set('eu', seed);
  seed.invalid = problem;
  expect(await ask(state, '/readyz')).toMatchObject({ status: 503 });
  seed.inUse = true;
  const doubtful = await ask(state, '/readyz');
  expect(doubtful.status).toBe(200);
  expect(JSON.parse(doubtful.text).doubts).toEqual([
    `seed eu goes on with the last valid one: ${problem.message}`,
  ]);
  state.draining = true;
  expect(await ask(state, '/readyz')).toMatchObject({ status: 503 });
});

test('metrics follow the state: nothing stays of a seed that is gone, and what is unknown has no sample', async () => {
  const state = newAgentState(start);
  state.seeds.set('eu', newSeedState('eu'));
  const metrics = makeMetrics(state, () => start);
  const before = await metrics.registry.metrics();
  expect(before).toContain('granary_config_in_use{seed="eu"} 0');
  expect(before).not.toContain('granary_last_pass_timestamp_seconds{');
  expect(before).toContain('granary_source_last_fetch_timestamp_seconds 0\n');
  state.seeds.delete('eu');
  expect(await metrics.registry.metrics()).not.toContain('seed="eu"');
});

test('no error text ever becomes a label', async () => {
  const state = newAgentState(start);
  const seed = newSeedState('eu');
  seed.invalid = { ...problem, message: 'a text that nobody foresaw' };
  state.seeds.set('eu', seed);
  state.source.error = seed.invalid;
  expect(await makeMetrics(state, () => start).registry.metrics()).not.toContain('nobody foresaw');
});

test('an address that is taken is an error with a hint', async () => {
  const state = newAgentState(start);
  await using server = await open(state);
  const port = Number(new URL(server.url).port);
  const refused = await open(state, { port }).catch((error: unknown) => error);
  expect(isGranaryError(refused, 'listen-failed') && refused.message).toBe(
    `cannot listen on 127.0.0.1:${port}: the port is in use`,
  );
});

describe('who may ask', () => {
  const folder = tempFolder('http');
  afterAll(() => folder.remove());
  const file = (name: string, text: string) => {
    writeFileSync(folder.join(name), text);
    return folder.join(name);
  };
  const payload = 'Hello, World!';
  // The example of GitHub's documentation.
  const secret = "It's a Secret to Everybody";
  const mac = '757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17';

  test.each([
    ['GitHub', { 'x-hub-signature-256': `sha256=${mac}` }, 202],
    ['Gitea', { 'x-gitea-signature': mac }, 202],
    ['Forgejo', { 'x-forgejo-signature': mac }, 202],
    ['GitLab', { 'x-gitlab-token': secret }, 202],
    ['GitLab with another token', { 'x-gitlab-token': 'guessed' }, 401],
    ['another signature', { 'x-hub-signature-256': `sha256=${mac.replace('7', '8')}` }, 401],
    ['no prefix', { 'x-hub-signature-256': mac }, 401],
    ['nothing', {}, 401],
  ])('a push told by %s', async (_, headers, status) => {
    let pushes = 0;
    const access = { webhookSecretFile: file('secret', `${secret}\n`) };
    await using server = await open(newAgentState(start), { access, onPush: () => pushes++ });
    const url = `${server.url}/webhook`;
    // As it comes, whatever it says it is.
    for (const type of ['application/json', 'application/x-www-form-urlencoded']) {
      const sent = { method: 'POST', body: payload, headers: { ...headers, 'content-type': type } };
      expect((await fetch(url, sent)).status).toBe(status);
    }
    expect(pushes).toBe(status === 202 ? 2 : 0);
  });

  test('what nobody signed is not kept in memory, whatever is sent where', async () => {
    const access = { webhookSecretFile: file('secret', secret) };
    await using server = await open(newAgentState(start), { access });
    const { port, hostname } = new URL(server.url);
    const [count, megabytes] = [8, 20];
    const half = Buffer.alloc(megabytes * 2 ** 20);
    const before = process.memoryUsage().arrayBuffers;
    const sockets: Socket[] = [];
    for (const path of ['/webhook', '/elsewhere']) {
      for (let index = 0; index < count; index += 1) {
        const head = [
          `POST ${path} HTTP/1.1`,
          'host: localhost',
          'content-type: application/json',
          'x-hub-signature-256: sha256=00',
          // A byte more than comes, so that it stays unfinished.
          `content-length: ${half.length + 1}`,
        ].join('\r\n');
        const socket = connect(Number(port), hostname);
        sockets.push(socket);
        socket.on('error', () => {});
        const sent = new Promise((resolve) => {
          socket.once('close', resolve);
          socket.write(`${head}\r\n\r\n`);
          socket.write(half, resolve);
        });
        await sent;
      }
    }
    collectGarbage();
    const kept = process.memoryUsage().arrayBuffers - before - half.length;
    for (const socket of sockets) socket.destroy();
    expect(kept).toBeLessThan(count * half.length * 0.5);
  });

  test('a large body is taken where it is signed, and none beyond what forges send', async () => {
    const access = { webhookSecretFile: file('secret', secret) };
    let pushes = 0;
    await using server = await open(newAgentState(start), { access, onPush: () => pushes++ });
    const send = (body: Buffer) => {
      const signature = createHmac('sha256', secret).update(body).digest('hex');
      const headers = { 'x-hub-signature-256': `sha256=${signature}`, 'content-type': 'application/json' };
      return fetch(`${server.url}/webhook`, { method: 'POST', headers, body: new Uint8Array(body) });
    };
    expect((await send(Buffer.alloc(25 * 2 ** 20))).status).toBe(202);
    await send(Buffer.alloc(25 * 2 ** 20 + 1)).catch(() => {});
    expect(pushes).toBe(1);
  });

  test('without a secret there is no webhook, and an empty one opens nothing', async () => {
    const state = newAgentState(start);
    await using server = await open(state);
    expect((await fetch(`${server.url}/webhook`, { method: 'POST', body: payload })).status).toBe(404);
    const access = { webhookSecretFile: file('empty', '\n') };
    await expect(open(state, { access })).rejects.toMatchObject({ code: 'file-unreadable' });
  });

  test('a token is asked for, a new one counts at once, and probes need none', async () => {
    const access = { tokenFile: file('token', 'first') };
    await using server = await open(newAgentState(start), { access });
    const status = async (path: string, token?: string) => {
      const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
      return (await fetch(`${server.url}${path}`, { headers })).status;
    };
    expect([await status('/metrics'), await status('/metrics', 'other')]).toEqual([401, 401]);
    expect(await status('/metrics', 'first')).toBe(200);
    file('token', 'second');
    expect([await status('/metrics', 'first'), await status('/metrics', 'second')]).toEqual([401, 200]);
    expect([await status('/healthz'), await status('/readyz')]).toEqual([200, 503]);
  });

  test('HTTPS with a certificate of your own; a missing file is named', async () => {
    const { server: pair, caFile } = makeCertificates(folder.path);
    await using server = await open(newAgentState(start), { access: { tls: pair } });
    expect(server.url).toMatch(/^https:/);
    const answer = await new Promise((resolve, reject) => {
      const options = { ca: readFileSync(caFile) };
      request(`${server.url}/healthz`, options, (response) => resolve(response.statusCode))
        .on('error', reject)
        .end();
    });
    expect(answer).toBe(200);
    const access = { tls: { ...pair, keyFile: folder.join('absent') } };
    await expect(open(newAgentState(start), { access })).rejects.toThrow(/absent cannot be read \(ENOENT\)/);
  });
});
