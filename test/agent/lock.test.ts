import { readdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { lockState } from '../../src/agent/lock.ts';
import { isGranaryError } from '../../src/model/errors.ts';
import { tempFolder } from '../servers/temp.ts';

test('one at a time, and free again afterwards', async () => {
  using temp = tempFolder('lock');
  const folder = temp.join('state');
  const lock = await lockState(folder);
  const refused = await lockState(folder).catch((error: unknown) => error);
  expect(isGranaryError(refused, 'state-locked') && refused.message).toContain(`(pid ${process.pid}, since `);
  await lock[Symbol.asyncDispose]();
  expect(readdirSync(folder)).toEqual([]);
  await using _ = await lockState(folder);
  expect(readdirSync(folder)).toEqual(['agent.lock']);
});

test('a lock of a process that is gone is taken over, also where its pid is another one’s by now', async () => {
  using temp = tempFolder('lock');
  const since = '2026-11-21T14:00:00.000Z';
  const stale = [
    { pid: process.pid, started: 'another start', since },
    { pid: 2 ** 22 + 1, started: 'x', since },
  ];
  for (const content of [...stale.map((owner) => JSON.stringify(owner)), 'cut off', '{}', '']) {
    writeFileSync(temp.join('agent.lock'), content);
    await using _ = await lockState(temp.path);
    expect(readdirSync(temp.path)).toEqual(['agent.lock']);
  }
  expect(readdirSync(temp.path)).toEqual([]);
});

test('of many at once, over a stale lock, one gets it', async () => {
  using temp = tempFolder('lock');
  writeFileSync(temp.join('agent.lock'), 'stale');
  const tries = await Promise.allSettled(Array.from({ length: 8 }, () => lockState(temp.path)));
  expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});

test('a folder that cannot be used is said by its name', async () => {
  using temp = tempFolder('lock');
  writeFileSync(temp.join('file'), '');
  const refused = await lockState(temp.join('file')).catch((error: unknown) => error);
  expect(isGranaryError(refused, 'file-unreadable') && refused.message).toContain(temp.join('file'));
});
