/** Claims in a folder and in a bucket: of one at a time, and never for longer than they say. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Claim } from '../../src/catalog/claims.ts';
import { buildKey } from '../../src/catalog/keys.ts';
import type { SlotRef } from '../../src/model/inventory.ts';
import { openFilesystemStore } from '../../src/store/drivers/filesystem.ts';
import { openStore } from '../../src/store/open.ts';
import type { Store } from '../../src/store/store.ts';
import { withoutConditions } from '../../src/store/wrap/conditions.ts';
import { freshSlot, signal } from '../backup/job.ts';
import { describeWith } from '../servers/describe.ts';
import { type MinioServer, startMinio } from '../servers/minio.ts';
import { tempFolder } from '../servers/temp.ts';
import { s3Credential, s3Destination } from '../store/destinations.ts';

const patience = { timeout: 30_000, interval: 50 };
const freshRef = (): SlotRef => ({ seed: 'eu', cluster: 'prod', policy: 'hourly', slot: freshSlot() });
const keyOf = (ref: SlotRef) => buildKey({ type: 'claim', ...ref });
const isThere = async (store: Store, ref: SlotRef) => (await store.head(keyOf(ref), { signal })) !== null;
const refusal = { code: 'slot-claimed' };
/** Of a process that was killed: nobody renews it, nobody takes it back. */
const leave = (store: Store, ref: SlotRef, body: string) =>
  store.put(keyOf(ref), Buffer.from(body), { signal });

function suite(open: () => Store): void {
  test('one of several has it, and gives it back', async () => {
    const [store, ref] = [open(), freshRef()];
    const takes = await Promise.allSettled(
      ['a', 'b', 'c', 'd'].map((holder) => Claim.take(store, ref, { holder, signal })),
    );
    const taken = takes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    expect(taken.map(({ holds }) => holds)).toEqual([true]);
    for (const one of takes) if (one.status === 'rejected') expect(one.reason).toMatchObject(refusal);
    await taken[0]?.[Symbol.asyncDispose]();
    expect(await isThere(store, ref)).toBe(false);
    await using next = await Claim.take(store, ref, { holder: 'e', signal });
    expect(next.holds).toBe(true);
  });

  test('is renewed for as long as it is held', async () => {
    const [store, ref] = [open(), freshRef()];
    await using claim = await Claim.take(store, ref, { holder: 'a', signal, seconds: 3, renewMs: 100 });
    const first = (await store.head(keyOf(ref), { signal }))?.modified.getTime() ?? 0;
    const ageMs = async () => ((await store.head(keyOf(ref), { signal }))?.modified.getTime() ?? 0) - first;
    await expect.poll(ageMs, patience).toBeGreaterThan(3_000);
    expect(claim.holds).toBe(true);
    await expect(Claim.take(store, ref, { holder: 'b', signal })).rejects.toMatchObject(refusal);
  });

  test('what a killed one left is taken over when it ends, and by one', async () => {
    const [store, ref] = [open(), freshRef()];
    await leave(store, ref, '{"format":1,"holder":"a","seconds":2}');
    const tries = () =>
      Promise.allSettled(['b', 'c'].map((holder) => Claim.take(store, ref, { holder, signal })));
    for (const one of await tries()) expect(one).toMatchObject({ status: 'rejected', reason: refusal });
    let taken: Claim[] = [];
    await expect
      .poll(async () => {
        taken = (await tries()).flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
        return taken.length;
      }, patience)
      .toBeGreaterThan(0);
    expect(taken).toHaveLength(1);
    await taken[0]?.[Symbol.asyncDispose]();
  });

  test('a replica is not kept by its own', async () => {
    const [store, ref] = [open(), freshRef()];
    await leave(store, ref, '{"format":1,"holder":"a","seconds":30}');
    await using claim = await Claim.take(store, ref, { holder: 'a', signal });
    expect(claim.holds).toBe(true);
  });

  test('one that is lost does not hold, and is left to who has it', async () => {
    const [store, ref] = [open(), freshRef()];
    const lost = await Claim.take(store, ref, { holder: 'a', signal, seconds: 1, renewMs: 60_000 });
    await expect.poll(() => lost.holds, patience).toBe(false);
    let taken: Claim | null = null;
    const take = async () => {
      taken ??= await Claim.take(store, ref, { holder: 'b', signal });
    };
    await expect.poll(() => take().then(() => true), patience).toBe(true);
    await lost[Symbol.asyncDispose]();
    expect(await isThere(store, ref)).toBe(true);
    await (taken as Claim | null)?.[Symbol.asyncDispose]();
  });

  test.each(['', '{', '[]', '{"holder":7}', '{"holder":"x","seconds":1e9}', '{"holder":"x","seconds":-1}'])(
    'nonsense in one (%s) keeps nobody for long',
    async (body) => {
      const [store, ref] = [open(), freshRef()];
      await leave(store, ref, body);
      const failure: unknown = await Claim.take(store, ref, { holder: 'b', signal }).catch(
        (one: unknown) => one,
      );
      expect(failure).toMatchObject(refusal);
      const { untilMs } = (failure as { context: { untilMs: number } }).context;
      expect(untilMs).toBeGreaterThan(0);
      expect(untilMs).toBeLessThanOrEqual(300_000);
    },
  );
}

describeWith([], 'claims in a folder', () => {
  const folder = tempFolder('claims');
  let store: Store;
  beforeAll(async () => {
    store = await openFilesystemStore({ path: folder.path });
  });
  afterAll(async () => {
    await store.close();
    folder.remove();
  });
  suite(() => store);

  test('without conditions they are a word that counts where it is seen', async () => {
    const weak = withoutConditions(store);
    const ref = freshRef();
    const claim = await Claim.take(weak, ref, { holder: 'a', signal });
    await expect(Claim.take(weak, ref, { holder: 'b', signal })).rejects.toMatchObject(refusal);
    await claim[Symbol.asyncDispose]();
    expect(await isThere(weak, ref)).toBe(false);
  });
});

describeWith(['minio'], 'claims in a bucket', () => {
  let minio: MinioServer;
  let store: Store;
  beforeAll(async () => {
    minio = await startMinio();
    await minio.createBucket('claims');
    store = await openStore(s3Destination(minio, { bucket: 'claims' }), s3Credential(minio));
  }, 60_000);
  afterAll(async () => {
    await store.close();
    await minio.stop();
  });
  suite(() => store);
});
