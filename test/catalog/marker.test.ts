import { rm } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { markerKey } from '../../src/catalog/keys.ts';
import { ensureMarker, readMarker } from '../../src/catalog/marker.ts';
import { openFilesystemStore } from '../../src/store/drivers/filesystem.ts';
import { tempFolder } from '../servers/temp.ts';
import { altered, keysOf, now, openStore, signal, writeText } from './helpers.ts';

describe('the marker', () => {
  it('is made once and stays', async () => {
    const store = await openStore();
    expect(await readMarker(store, { signal })).toBeNull();
    const made = await ensureMarker(store, now, { signal });
    expect(made).toMatchObject({ format: 1, created: '2020-11-21T12:00:00.000Z' });
    expect(await ensureMarker(store, new Date(0), { signal })).toEqual(made);
    expect(await keysOf(store)).toEqual([markerKey]);
  });

  it('is the same for all that make it at once', async () => {
    const store = await openStore();
    const markers = await Promise.all(Array.from({ length: 20 }, () => ensureMarker(store, now, { signal })));
    expect(new Set(markers.map(({ id }) => id)).size).toBe(1);
    expect(await readMarker(store, { signal })).toEqual(markers[0]);
  });

  it('of whoever was first counts, also for one who looked before', async () => {
    const store = await openStore();
    let theirs = '';
    const late = altered(store, {
      async put(...request) {
        ({ id: theirs } = await ensureMarker(store, now, { signal }));
        return store.put(...request);
      },
    });
    expect((await ensureMarker(late, now, { signal })).id).toBe(theirs);
    expect(theirs).not.toBe('');
  });

  it('of a store without conditional writes is the one that lies there', async () => {
    const store = altered(await openStore(), { capabilities: { conditionalWrites: false } });
    const marker = await ensureMarker(store, now, { signal });
    expect(await readMarker(store, { signal })).toEqual(marker);
  });

  it.each(['', 'null', '[]', '{"format":1}', '{"format":1,"id":"x","created":"now"}', 'hello'])(
    'that is %j is refused and left alone',
    async (text) => {
      const store = await openStore();
      await writeText(store, markerKey, text);
      await expect(ensureMarker(store, now, { signal })).rejects.toMatchObject({
        code: 'marker-mismatch',
        hint: expect.stringContaining('another prefix'),
      });
      await expect(readMarker(store, { signal })).rejects.toMatchObject({ code: 'marker-mismatch' });
    },
  );

  it('of a later format is refused as such', async () => {
    const store = await openStore();
    await writeText(store, markerKey, '{"format": 2, "layout": "new"}');
    await expect(ensureMarker(store, now, { signal })).rejects.toMatchObject({ code: 'format-too-new' });
  });

  it('of a folder that is gone is an error, never none', async () => {
    const folder = tempFolder('catalog');
    const store = await openFilesystemStore({ path: folder.path });
    await rm(folder.path, { recursive: true });
    await expect(readMarker(store, { signal })).rejects.toMatchObject({ code: 'bucket-missing' });
  });
});
