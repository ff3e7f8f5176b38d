import { expect, test } from 'vitest';
import { serve } from '../../src/agent/http.ts';
import { makeMetrics } from '../../src/agent/metrics.ts';
import { type AgentState, newAgentState, newSeedState } from '../../src/agent/state.ts';
import { isGranaryError } from '../../src/model/errors.ts';

const start = new Date('2026-11-21T14:00:00Z');
const local = { host: '127.0.0.1', port: 0 };
const problem = {
  code: 'unknown-object',
  message: 'there is no seed in the configuration',
  hint: null,
} as const;

async function ask(state: AgentState, path: string, now = start) {
  await using server = await serve(
    local,
    state,
    makeMetrics(state, () => now),
    () => now,
  );
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
  const metrics = makeMetrics(state, () => start);
  await using server = await serve(local, state, metrics, () => start);
  const port = Number(new URL(server.url).port);
  const refused = await serve({ ...local, port }, state, metrics, () => start).catch(
    (error: unknown) => error,
  );
  expect(isGranaryError(refused, 'listen-failed') && refused.message).toBe(
    `cannot listen on 127.0.0.1:${port}: the port is in use`,
  );
});
