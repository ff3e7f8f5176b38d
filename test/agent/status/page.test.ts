import { writeFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { statusOf } from '../../../src/agent/status/status.ts';
import { schemaFaults } from '../../../src/config/schemas.ts';
import { now } from '../../plan/fixtures.ts';
import { describeWith } from '../../servers/describe.ts';
import { tempFolder } from '../../servers/temp.ts';
import { isTooWide, openBrowser, serveState, violations } from './browser.ts';
import { fleetState } from './fleet.ts';

const hostile = '<script>document.title="taken"</script>"><img src=x onerror=alert(1)>\u202e&amp;\'';
const clock = () => now;

test.each([0, 3, 500])('what is told of %i clusters is what its schema says', (count) => {
  expect(schemaFaults('agent-status', statusOf(fleetState(count, { text: hostile }), now))).toEqual([]);
});

test('each trouble has its word, and the worst comes first', async () => {
  await using server = await serveState(fleetState(12), clock);
  const { seeds } = (await (await fetch(`${server.url}/api/v1/status`)).json()) as ReturnType<
    typeof statusOf
  >;
  const states = seeds[0]?.clusters.map(({ policies }) => policies[0]?.state);
  expect(states?.slice(0, 5)).toEqual(['late', 'damaged', 'incomplete', 'none', 'safe']);
  const text = await (await fetch(server.url)).text();
  expect(text).toContain('<h1>4 of 12 clusters need you</h1>');
  expect(
    text
      .match(/prod-\d+<\/a>/g)
      ?.slice(0, 5)
      .map((one) => one.slice(5, 8)),
  ).toEqual(['004', '001', '002', '003', '005']);
  const found = await (await fetch(`${server.url}/?q=prod+late`)).text();
  expect(found).toContain('1 of 12 rows match');
  expect(await (await fetch(`${server.url}/clusters/eu/prod-002`)).text()).toContain(
    'bad proof of backups of',
  );
  expect((await fetch(`${server.url}/clusters/eu/absent`)).status).toBe(404);
});

test('what was made on demand, who signed, and which replica says it', async () => {
  const state = fleetState(3);
  const seed = state.seeds.get('eu');
  if (seed === undefined) throw new Error('no seed');
  await using server = await serveState(state, clock);
  const told = async () =>
    (await (await fetch(`${server.url}/api/v1/status`)).json()) as ReturnType<typeof statusOf>;
  const first = await told();
  expect(first).toMatchObject({ replica: null, seeds: [{ sharing: null }] });
  expect(first.seeds[0]?.commit).toMatchObject({ signed: 'unchecked', signer: null });
  expect(first.seeds[0]?.clusters.map(({ onDemand }) => onDemand)).toEqual([
    {
      ...{ backups: 1, bytes: 92_274_688 },
      newest: {
        ...{ id: 'eu/prod-001/manual/20261121T091244Z', slot: '2026-11-21T09:12:44.000Z' },
        ...{ publishedAt: '2026-11-21T13:00:05Z', storedBytes: 92_274_688, copies: ['eu-minio'] },
        until: '2026-12-21T09:12:50.000Z',
      },
    },
    null,
    null,
  ]);
  expect(await (await fetch(`${server.url}/clusters/eu/prod-001`)).text()).toContain('On demand');
  expect(await (await fetch(`${server.url}/clusters/eu/prod-002`)).text()).not.toContain('On demand');
  expect(await (await fetch(server.url)).text()).toContain('its signature was not looked at');

  seed.signature = { state: 'verified', signer: 'olga@acme.example' };
  Object.assign(seed.share, { mode: 'coordinated', replicas: ['one', 'two'], leads: false });
  state.changes.tell();
  const second = await told();
  expect(schemaFaults('agent-status', second)).toEqual([]);
  expect(second.replica).toBe(state.replica);
  expect(second.seeds[0]).toMatchObject({
    commit: { signed: 'verified', signer: 'olga@acme.example' },
    sharing: { mode: 'coordinated', replicas: ['one', 'two'], leads: false, problem: null },
  });
  const page = await (await fetch(server.url)).text();
  expect(page).toContain('signature verified, by olga@acme.example');
  expect(page).toContain('shared by 2 replicas; another speaks for the seed');
  expect(page).toContain(`replica ${state.replica}`);
});

test('of one state the same is made once, for however many ask, and of a newer one anew', async () => {
  const state = fleetState(3);
  let made = 0;
  await using server = await serveState(state, () => {
    made += 1;
    return now;
  });
  const ask = (path: string) => fetch(`${server.url}${path}`).then((answer) => answer.text());
  const pages = await Promise.all(Array.from({ length: 20 }, () => ask('/')));
  expect(new Set(pages).size).toBe(1);
  for (const path of ['/?q=prod', '/api/v1/status', '/clusters/eu/prod-001']) await ask(path);
  expect(made).toBe(1);
  expect(await ask('/?q=prod-002')).not.toBe(await ask('/?q=prod-001'));
  state.changes.tell();
  const newer = await ask('/');
  expect(made).toBe(2);
  expect(newer).not.toBe(pages[0]);
  // It is not kept for longer than ages may be wrong.
  await expect.poll(() => ask('/').then(() => made), { timeout: 10_000, interval: 200 }).toBe(3);
});

test('a browser shows the token as a password; nothing is told without it', async () => {
  using folder = tempFolder('page');
  writeFileSync(folder.join('token'), 'a:token\n');
  await using server = await serveState(fleetState(3), clock, folder.join('token'));
  for (const path of ['/', '/api/v1/status', '/api/v1/events', '/clusters/eu/prod-001', '/metrics']) {
    const refused = await fetch(`${server.url}${path}`);
    expect([path, refused.status, refused.headers.get('www-authenticate')]).toEqual([
      path,
      401,
      'Bearer, Basic realm="granary", charset="UTF-8"',
    ]);
    expect(await refused.text()).not.toContain('prod-001');
  }
  const status = async (authorization: string) =>
    (await fetch(server.url, { headers: { authorization } })).status;
  const basic = (pair: string) => `Basic ${Buffer.from(pair).toString('base64')}`;
  expect(await status(basic('anybody:a:token'))).toBe(200);
  expect(await status('Bearer a:token')).toBe(200);
  expect(await status(basic('anybody:other'))).toBe(401);
  expect(await status(basic('a:token:'))).toBe(401);
  expect(await status(`Bearer ${Buffer.from('x:a:token').toString('base64')}`)).toBe(401);
});

test('without a token this machine answers to its own names only', async () => {
  await using server = await serveState(fleetState(3), clock);
  const ask = (host: string, path = '/') =>
    new Promise<number | undefined>((resolve, reject) => {
      get(`${server.url}${path}`, { headers: { host } }, (response) =>
        resolve(response.resume().statusCode),
      ).on('error', reject);
    });
  expect([await ask('localhost:9595'), await ask('[::1]:1'), await ask('rebound.example')]).toEqual([
    200, 200, 421,
  ]);
  for (const path of ['/metrics', '/readyz', '/healthz', '/api/v1/status', '/clusters/eu/prod-001'])
    expect([path, await ask('rebound.example', path)]).toEqual([path, 421]);
  expect(await ask('127.0.0.1:9595', '/metrics')).toBe(200);
});

test('no more than 32 pages are told of news', async () => {
  await using server = await serveState(fleetState(3), clock);
  const agent = new Agent({ keepAlive: false });
  const listen = () =>
    new Promise<number | undefined>((resolve, reject) => {
      get(`${server.url}/api/v1/events`, { agent }, (response) => resolve(response.statusCode)).on(
        'error',
        (error) => {
          if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') reject(error);
        },
      );
    });
  const answers: (number | undefined)[] = [];
  for (let index = 0; index < 33; index++) answers.push(await listen());
  expect(answers.filter((code) => code === 200)).toHaveLength(32);
  expect(answers.at(-1)).toBe(503);
  agent.destroy();
});

describeWith(['chromium'], 'the page in a browser', () => {
  let browser: Awaited<ReturnType<typeof openBrowser>>;
  beforeAll(async () => {
    browser = await openBrowser();
  });
  afterAll(() => browser.close());

  test.each([0, 3, 500])(
    'with %i clusters axe finds nothing, in light and dark, wide and narrow',
    async (count) => {
      await using server = await serveState(fleetState(count), clock);
      for (const colorScheme of ['light', 'dark'] as const) {
        for (const width of [1280, 390]) {
          const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
          for (const path of count === 3 ? ['/', '/?q=prod-001', '/clusters/eu/prod-001'] : ['/']) {
            await page.goto(`${server.url}${path}`);
            expect(await violations(page)).toEqual([]);
            expect(await isTooWide(page)).toBe(false);
          }
          await page.close();
        }
      }
    },
  );

  test('text from outside stays text', async () => {
    await using server = await serveState(fleetState(3, { text: hostile }), clock);
    const page = await browser.newPage();
    const said: string[] = [];
    page.on('dialog', (dialog) => void dialog.dismiss().then(() => said.push('dialog')));
    page.on('console', (message) => message.type() === 'error' && said.push(message.text()));
    for (const path of ['/', `/?q=${encodeURIComponent(hostile)}`, '/clusters/eu/prod-001']) {
      await page.goto(`${server.url}${path}`);
      expect(await page.locator('img').count()).toBe(0);
      expect(await page.title()).not.toBe('taken');
    }
    expect(await page.locator('script').count()).toBe(1);
    expect(said).toEqual([]);
    await page.close();
  });

  test('it says the same with JavaScript off, and is renewed by news with it on', async () => {
    const state = fleetState(3, { troubled: false });
    await using server = await serveState(state, clock);
    const page = await browser.newPage();
    await page.goto(server.url);
    const without = await browser.newContext({ javaScriptEnabled: false });
    const plain = await without.newPage();
    await plain.goto(server.url);
    for (const one of [page, plain]) {
      expect(await one.locator('h1').textContent()).toBe('All 3 clusters are safe');
      expect(await one.locator('.fleet tbody tr').count()).toBe(3);
    }
    await page.fill('#q', 'being typed');
    state.seeds.set('eu', fleetState(3).seeds.values().next().value as never);
    state.changes.tell();
    await page.waitForSelector('.answer.bad');
    expect(await page.locator('h1').textContent()).toBe('3 of 3 clusters need you');
    expect(await page.inputValue('#q')).toBe('being typed');
    await without.close();
    await page.close();
  });
});
