/** A prune that is killed before any of its calls of the store: what is left is whole, and the next one ends it. */
import { execFile } from 'node:child_process';
import { cpSync, rmSync, utimesSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { parseKey } from '../../src/catalog/keys.ts';
import { ensureMarker } from '../../src/catalog/marker.ts';
import { planSeed } from '../../src/execute/plan.ts';
import { prune, removalPlan } from '../../src/execute/prune.ts';
import { openWorkspace } from '../../src/execute/workspace.ts';
import { openSource } from '../../src/git/source.ts';
import type { SlotRef } from '../../src/model/inventory.ts';
import { type ObjectKey, slotOf } from '../../src/model/names.ts';
import { loadIdentities } from '../../src/secrets/identities.ts';
import { openFilesystemStore } from '../../src/store/drivers/filesystem.ts';
import { attempt, publish, signal, write } from '../catalog/helpers.ts';
import { Fleet } from '../cli/fleet.ts';
import { filesIn, granary } from '../cli/granary.ts';

const script = fileURLToPath(new URL('killed-prune.ts', import.meta.url));
const dayMs = 86_400_000;
const slotAt = (age: number): SlotRef => ({
  ...{ seed: 'eu', cluster: 'prod', policy: 'hourly' },
  slot: slotOf(new Date(Date.now() - 5 * dayMs - age * 3_600_000)),
});
/** Ages in hours: these three stay by the floor, the next has to get a tombstone, and the last has a due one. */
const staying = [0, 1, 2];
const unwanted = [3];
const doomed = [4];
const refs = new Map([...staying, ...unwanted, ...doomed].map((age) => [age, slotAt(age)]));
const ref = (age: number) => refs.get(age) as SlotRef;

const fleet = await Fleet.make({ endpoints: ['http://127.0.0.1:9'] });
afterAll(() => fleet[Symbol.dispose]());
const place = fleet.folder.join('local');
const template = fleet.folder.join('template');
const store = await openFilesystemStore({ path: place });
await ensureMarker(store, new Date(), { signal });
for (const one of refs.values()) await publish(store, one);
await write(store, {
  type: 'tombstone',
  ...ref(4),
  due: new Date(Math.floor(Date.now() / 1_000) * 1_000 - dayMs),
  id: attempt(7),
});
await granary(['apply', ...fleet.source]);
// `apply` has taken the first steps: put things back, and make them as old as they would be.
await reset();

async function reset(): Promise<void> {
  for (const age of [...unwanted, ...doomed]) {
    for (const file of filesIn(place).filter((one) => one.includes(ref(age).slot)))
      rmSync(`${place}/${file}`);
    await publish(store, ref(age));
  }
  const due = new Date(Math.floor(Date.now() / 1_000) * 1_000 - dayMs);
  await write(store, { type: 'tombstone', ...ref(4), due, id: attempt(7) });
  for (const file of filesIn(place).filter((one) => one.startsWith('clusters/'))) {
    // The tombstone has been there for the whole grace time, too.
    const old = new Date(Date.now() - 4 * dayMs);
    utimesSync(`${place}/${file}`, old, old);
  }
  cpSync(place, template, { recursive: true, preserveTimestamps: true });
}

/** @returns the number of calls where it lived to the end; null where it was killed */
function runKilled(fatal: number): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const args = [script, fleet.config, String(fatal)];
    // Half of its time is the compiling of modules. Only a process that ends by itself leaves what it compiled.
    const env = { ...process.env, NODE_COMPILE_CACHE: fleet.folder.join('compiled') };
    execFile(process.execPath, args, { env }, (error, stdout, stderr) => {
      if (error?.signal === 'SIGKILL') resolve(null);
      else if (error) reject(new Error(stderr));
      else resolve(Number(stdout.trim().split('\n').at(-1)));
    });
  });
}

async function runAgain(): Promise<string[]> {
  const source = await openSource({ path: fleet.config }, { signal });
  const identities = await loadIdentities({ files: [], env: {} });
  await using workspace = await openWorkspace(source, { identities });
  const planned = await planSeed(workspace, 'eu', { signal, now: new Date() });
  const results = await prune(workspace, { ...planned, plan: removalPlan(planned.plan, {}) }, { signal });
  return results.map(({ action, outcome, error }) =>
    `${action.type} ${outcome} ${error?.message ?? ''}`.trim(),
  );
}

/** Kinds of objects in a slot, without claims on their number. */
const kindsAt = (age: number) =>
  filesIn(place)
    .filter((file) => file.includes(ref(age).slot))
    .map((file) => parseKey(file as ObjectKey).type)
    .toSorted();

/** Rules that hold at any moment: what is listed has its data, and what stays has not changed. */
function expectWhole(moment: string): void {
  for (const age of refs.keys()) {
    const kinds = kindsAt(age);
    if (kinds.includes('manifest')) expect(kinds, moment).toContain('data');
    if (staying.includes(age)) expect(kinds, moment).toEqual(['data', 'manifest']);
  }
  expect(kindsAt(3), moment).toEqual(expect.arrayContaining(['data', 'manifest']));
}

test('killed before every call in turn, and ended by the next run', { timeout: 600_000 }, async () => {
  const seen = new Set<string>();
  const total = (await runKilled(0)) ?? 0;
  for (let fatal = 1; fatal <= total + 1; fatal += 1) {
    rmSync(place, { recursive: true });
    cpSync(template, place, { recursive: true, preserveTimestamps: true });
    const calls = await runKilled(fatal);
    expect(calls).toBe(fatal <= total ? null : total);
    const moment = calls === null ? `killed before call ${fatal}` : 'not killed';
    expectWhole(moment);
    seen.add(kindsAt(4).join());
    const again = await runAgain();
    expect(
      again.filter((line) => !/ done$/.test(line)),
      moment,
    ).toEqual([]);
    expectWhole(`${moment}, and run again`);
    expect(kindsAt(4), moment).toEqual([]);
    // Never a second tombstone, whose later due time would count.
    expect(kindsAt(3), moment).toEqual(['data', 'manifest', 'tombstone']);
    expect(await runAgain(), moment).toEqual([]);
  }
  console.info(`prune was killed before each of its ${total} calls of the store`);
  expect(total).toBeGreaterThan(20);
  // All stages were met: untouched, verdict taken, manifest gone, data gone, nothing left.
  expect([...seen]).toEqual(
    expect.arrayContaining([
      'data,manifest,tombstone',
      'data,manifest,tombstone,verdict',
      'data,tombstone,verdict',
      'tombstone,verdict',
      '',
    ]),
  );
});
