import { mkdirSync } from 'node:fs';
import { test } from 'vitest';
import { Repository } from '../git/repository-fixture.ts';
import { freePort } from '../servers/ports.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { RunningAgent } from './running-agent.ts';
import { configuration } from './world.ts';

const shifted = ['--import', new URL('./shifted-clock.mjs', import.meta.url).href];

/** A repository and an agent that goes by it, whose cluster is down. */
async function begin(temp: TempFolder, env: Record<string, string>, args: readonly string[] = []) {
  for (const name of ['disk', 'state']) mkdirSync(temp.join(name));
  const repository = new Repository(temp.join('repository'));
  const seeds = { eu: { dead: `http://127.0.0.1:${await freePort()}` } };
  repository.commit('first', configuration({ seeds, disk: temp.join('disk') }));
  const agent = new RunningAgent(['--repo', repository.folder, '--state', temp.join('state'), ...args], {
    NODE_OPTIONS: shifted.join(' '),
    ...env,
  });
  await agent.logged('backup failed');
  return { agent, repository };
}

// In each of these an hour comes twice, by the clocks of that zone.
test.each([
  ['Europe/Prague', '2026-10-25T00:20:00Z'],
  ['America/New_York', '2026-11-01T06:20:00Z'],
  ['Australia/Lord_Howe', '2026-04-04T14:40:00Z'],
])('where the machine is in %s the agent goes on while summer time ends', async (zone, clock) => {
  using temp = tempFolder('summer-time');
  const { agent, repository } = await begin(temp, { TZ: zone, CLOCK: clock });
  await using _ = agent;
  const second = repository.commit('second', { 'note.txt': 'second' });
  await agent.logged('configuration in use', { commit: second });
});

test('the agent goes on where its clock is set back, and what failed is tried again', async () => {
  using temp = tempFolder('set-back');
  const { agent, repository } = await begin(temp, {});
  await using _ = agent;
  agent.kill('SIGUSR2');
  agent.lines.length = 0;
  await agent.logged('backup failed');
  const second = repository.commit('second', { 'note.txt': 'second' });
  await agent.logged('configuration in use', { commit: second });
});
