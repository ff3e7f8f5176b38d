/** Whether V8 favours memory: V8 tells no flag, but a number that depends on all of them. */
import { writeFileSync } from 'node:fs';
import { cachedDataVersionTag, setFlagsFromString } from 'node:v8';
import { afterAll, expect, test } from 'vitest';
import { atWork, saveMemory } from '../../src/execute/heap.ts';
import { granary } from '../cli/granary.ts';
import { tempFolder } from '../servers/temp.ts';

setFlagsFromString('--optimize-for-size');
const small = cachedDataVersionTag();
setFlagsFromString('--no-optimize-for-size');
const fast = cachedDataVersionTag();
const weight = () => ({ [small]: 'small', [fast]: 'fast' })[cachedDataVersionTag()];

afterAll(() => setFlagsFromString('--no-optimize-for-size'));

test('memory counts more only once that is asked for, and only while nothing runs', async () => {
  expect(small).not.toBe(fast);
  expect(await atWork(async () => weight())).toBe('fast');
  expect(weight()).toBe('fast');
  saveMemory();
  expect(weight()).toBe('small');
  expect(await atWork(async () => weight())).toBe('fast');
  expect(weight()).toBe('small');
});

test('work that fails is over, too', async () => {
  saveMemory();
  const failing = atWork(() => Promise.reject(new Error(weight())));
  expect(weight()).toBe('fast');
  await expect(failing).rejects.toThrow('fast');
  expect(weight()).toBe('small');
  const broken = () => {
    throw new Error('at once');
  };
  await expect(atWork(broken)).rejects.toThrow('at once');
  expect(weight()).toBe('small');
});

test('of several at once the last one ends it, whatever is asked for meanwhile', async () => {
  saveMemory();
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const running = [atWork(() => first.promise), atWork(() => second.promise)];
  expect(weight()).toBe('fast');
  second.resolve();
  await running[1];
  expect(weight()).toBe('fast');
  saveMemory();
  expect(weight()).toBe('fast');
  first.resolve();
  await running[0];
  expect(weight()).toBe('small');
});

test.each([
  ['prune', 'small'],
  ['plan', 'fast'],
])('`granary %s` ends with V8 favouring %s', async (command, expected) => {
  using temp = tempFolder('heap');
  const preload = temp.join('preload.mjs');
  writeFileSync(
    preload,
    `import { cachedDataVersionTag } from 'node:v8';
     const before = cachedDataVersionTag();
     process.on('exit', () => console.error(cachedDataVersionTag() === before ? 'fast' : 'small'));`,
  );
  const NODE_OPTIONS = `--import ${preload}`;
  const { stderr } = await granary([command, '--path', temp.path], { env: { NODE_OPTIONS } });
  expect(stderr.trim().split('\n').at(-1)).toBe(expected);
});
