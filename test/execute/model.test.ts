/**
 * Several agents and people at one destination, in any order, with crashes and clocks that move: every listed backup
 * restores, nothing that is kept is lost, and nothing that is due stays for ever. `GRANARY_MODEL_RUNS=1000` for more runs,
 * `GRANARY_MODEL_SEED` for those of another time; with TMPDIR in memory a thousand take minutes.
 */
import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureMarker } from '../../src/catalog/marker.ts';
import { openFilesystemStore } from '../../src/store/drivers/filesystem.ts';
import { openStore } from '../../src/store/open.ts';
import { signal } from '../catalog/helpers.ts';
import { filesIn } from '../cli/granary.ts';
import { describeWith } from '../servers/describe.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import { tempFolder } from '../servers/temp.ts';
import { bucketName, s3Credential, s3Destination } from '../store/destinations.ts';
import { commands, settle, World } from './model-commands.ts';

const asked = Number(process.env.GRANARY_MODEL_RUNS);
const runsOr = (few: number): number => (Number.isInteger(asked) && asked > 0 ? asked : few);
const timeout = 3_600_000;
const givenSeed = Number.parseInt(process.env.GRANARY_MODEL_SEED ?? '', 10);
const seed = Number.isNaN(givenSeed) ? Math.floor(Math.random() * 2 ** 31) : givenSeed;

const parameters = (few: number) => ({
  numRuns: runsOr(few),
  seed,
  interruptAfterTimeLimit: timeout - 60_000,
  markInterruptAsFailure: true,
});

test('in a folder', { timeout }, async () => {
  let gone = 0;
  await fc.assert(
    fc.asyncProperty(commands, async (all) => {
      const folder = tempFolder('model');
      const store = await openFilesystemStore({ path: folder.path });
      await ensureMarker(store, new Date(), { signal });
      const world = new World(store);
      await world.fill(6);
      await fc.asyncModelRun(() => ({ model: {}, real: world }), all);
      gone += world.gone;
      const old = new Date(Date.now() - 48 * 3_600_000);
      await settle(world, async () => {
        for (const file of filesIn(folder.path)) await utimes(join(folder.path, file), old, old);
      });
      folder.remove();
    }),
    parameters(12),
  );
  // Beside what goes in the end: else nothing would have been at stake.
  expect(gone).toBeGreaterThan(0);
  console.info(`seed ${seed}, ${runsOr(12)} runs: ${gone} backups went while others were at work`);
});

describeWith(['minio'], 'in a bucket', () => {
  let server: MinioServer;
  beforeAll(async () => {
    server = await startMinio();
  });
  afterAll(() => server.stop());

  test('in a bucket', { timeout }, async () => {
    let gone = 0;
    await fc.assert(
      fc.asyncProperty(commands, async (all) => {
        const bucket = bucketName();
        await server.createBucket(bucket);
        const store = await openStore(s3Destination(server, { bucket }), s3Credential(server));
        await ensureMarker(store, new Date(), { signal });
        const world = new World(store);
        await world.fill(6);
        await fc.asyncModelRun(() => ({ model: {}, real: world }), all);
        gone += world.gone;
        // A bucket's clock cannot be moved: what was cut off waits there for its 24 hours.
        await settle(world, null);
        await store.close();
      }),
      parameters(3),
    );
    console.info(`seed ${seed}, ${runsOr(3)} runs: ${gone} backups went while others were at work`);
  });
});
