import { describe, expect, it } from 'vitest';
import { readDestination } from '../../src/catalog/inventory.ts';
import { writeFirstProof, writeProof } from '../../src/catalog/proofs.ts';
import {
  attempt,
  cluster,
  keysOf,
  openStore,
  publish,
  readAll,
  signal,
  slotAt,
  writeText,
} from './helpers.ts';

const ref = slotAt(14);
const folder = 'clusters/eu-west/prod-a/hourly/20201121T140000Z/';

function proof(time: string, ok = true, kind: 'hashkv' | 'read' | 'drill' = 'read') {
  const moment = new Date(`2020-11-21T${time}Z`);
  return {
    kind,
    ok,
    time: moment,
    attempt: attempt(),
    detail: 'all bytes as written',
    agentVersion: '0.1.0',
  };
}

describe('proofs', () => {
  it('say it all in their names, and more inside', async () => {
    const store = await openStore();
    const key = await writeProof(store, ref, proof('15:00:00.750', false), { signal });
    expect(key).toBe(`${folder}proof-20201121T150000Z-read-bad.json`);
    expect(JSON.parse((await readAll(store, key)).toString())).toEqual({
      format: 1,
      kind: 'read',
      ok: false,
      time: '2020-11-21T15:00:00.000Z',
      attempt: attempt(),
      detail: 'all bytes as written',
      agentVersion: '0.1.0',
    });
  });

  it('keep the newest of each kind and touch nothing else', async () => {
    const store = await openStore();
    await publish(store, ref);
    await writeText(store, `${folder}proof-old-notes.json`, 'foreign');
    await writeProof(store, ref, proof('15:00:00', false), { signal });
    await writeProof(store, ref, proof('15:30:00', true, 'drill'), { signal });
    await writeProof(store, ref, proof('16:00:00'), { signal });
    // Somebody slower, who began earlier.
    await writeProof(store, ref, proof('15:59:00', false), { signal });
    expect((await keysOf(store)).filter((key) => key.includes('proof-'))).toEqual([
      `${folder}proof-20201121T153000Z-drill-ok.json`,
      `${folder}proof-20201121T160000Z-read-ok.json`,
      `${folder}proof-old-notes.json`,
    ]);
    expect(await keysOf(store)).toHaveLength(5);
  });

  it('of the same second both stay, so that the bad one counts', async () => {
    const store = await openStore();
    await writeProof(store, ref, proof('15:00:00', false), { signal });
    await writeProof(store, ref, proof('15:00:00', true), { signal });
    expect(await keysOf(store)).toEqual([
      `${folder}proof-20201121T150000Z-read-bad.json`,
      `${folder}proof-20201121T150000Z-read-ok.json`,
    ]);
  });

  it('of a clock that was ahead do not hide what was found later', async () => {
    const store = await openStore();
    await publish(store, ref);
    const ahead = { ...proof('15:00:00'), time: new Date(Date.now() + 365 * 86_400_000) };
    await writeProof(store, ref, ahead, { signal });
    const soon = { ...proof('15:00:00', false), time: new Date(Date.now() + 60_000) };
    const bad = await writeProof(store, ref, soon, { signal });
    expect((await keysOf(store)).filter((key) => key.includes('proof-'))).toEqual([bad]);
    // Beside it, as an older Granary would leave it, it counts for no later than it was written.
    await writeFirstProof(store, ref, ahead, { signal });
    const { copies } = await readDestination({ name: 'one', store }, [cluster], { signal });
    expect(copies[0]?.proofs).toMatchObject([{ kind: 'read', ok: false }]);
  });

  it('at once leave one of each kind', async () => {
    const store = await openStore();
    const times = Array.from({ length: 12 }, (_, index) => proof(`15:00:${String(index).padStart(2, '0')}`));
    await Promise.all(times.map((one) => writeProof(store, ref, one, { signal })));
    expect(await keysOf(store)).toEqual([`${folder}proof-20201121T150011Z-read-ok.json`]);
  });
});
