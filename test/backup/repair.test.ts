/** What repair leaves behind wherever it ends: at each call to the store, and when others write at the same time. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { dataKey } from '../../src/backup/copy.ts';
import { type OpenDestination, readSlot, type StoredManifest } from '../../src/backup/destination.ts';
import { type Replaced, repairCopy } from '../../src/backup/repair.ts';
import { runBackup } from '../../src/backup/run.ts';
import { verifyCopy } from '../../src/backup/verify.ts';
import { GranaryError } from '../../src/model/errors.ts';
import type { Store } from '../../src/store/store.ts';
import { passThrough } from '../../src/store/wrap/pass-through.ts';
import { describeWith } from '../servers/describe.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { folderDestination, job, signal } from './job.ts';

const identities = { signal, identities: [] };

/** Fails at the call with this number and at all later ones, as after a crash; what the call did is done or not. */
function dyingStore(store: Store, callsToLive: number, lastIsDone: boolean): Store {
  let calls = 0;
  const guarded = async <T>(call: () => Promise<T>): Promise<T> => {
    calls += 1;
    if (calls <= callsToLive) return call();
    if (calls === callsToLive + 1 && lastIsDone) await call();
    throw new GranaryError('store-unreachable', 'the process died');
  };
  return {
    ...passThrough(store),
    head: (key, options) => guarded(() => store.head(key, options)),
    get: (key, options) => guarded(() => store.get(key, options)),
    put: (key, bytes, options) => guarded(() => store.put(key, bytes, options)),
    upload: (key, source, options) => guarded(() => store.upload(key, source, options)),
    delete: (key, options) => guarded(() => store.delete(key, options)),
  };
}

describeWith(['etcd-3.6'], 'a bad copy', () => {
  let etcd: EtcdServer;
  let folder: TempFolder;
  let sound: OpenDestination;
  let bad: OpenDestination;
  let stored: StoredManifest;
  let goodData: Buffer;
  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.6' });
    await etcd.etcdctl('put', 'a', '1');
  });
  afterAll(() => etcd.stop());
  beforeEach(async () => {
    folder = tempFolder('repair');
    sound = await folderDestination('sound', folder.join('sound'));
    bad = await folderDestination('bad', folder.join('bad'));
    const wanted = job(etcd, { destinations: [sound, bad] });
    expect((await runBackup(wanted, { signal })).outcome).toBe('published');
    const found = await readSlot(sound.store, wanted.slot, { signal });
    if (found === null) throw new Error('nothing was stored');
    stored = found;
    goodData = readFileSync(dataFile('sound'));
  });
  afterEach(() => folder.remove());

  const dataFile = (name: string) => folder.join(name, dataKey(stored.manifest));
  const manifestFile = (name: string) => folder.join(name, stored.key);
  const fileOrNull = (path: string) => {
    try {
      return readFileSync(path).toString('hex');
    } catch {
      return null;
    }
  };
  const repair = (store = bad.store): Promise<Replaced> =>
    repairCopy(stored, sound, { name: 'bad', store, manifestKey: stored.key }, identities);

  const damages: Record<string, { apply: () => void; replaced: Replaced }> = {
    'data changed': {
      apply: () => writeFileSync(dataFile('bad'), Buffer.from(goodData).fill(0, 40, 60)),
      replaced: ['data'],
    },
    'data cut short': {
      apply: () => writeFileSync(dataFile('bad'), goodData.subarray(0, 100)),
      replaced: ['data'],
    },
    'data missing': { apply: () => rmSync(dataFile('bad')), replaced: ['data'] },
    'manifest unreadable': {
      apply: () => writeFileSync(manifestFile('bad'), '{"format": 1'),
      replaced: ['manifest'],
    },
    'data missing and manifest unreadable': {
      apply: () => {
        rmSync(dataFile('bad'));
        writeFileSync(manifestFile('bad'), '');
      },
      replaced: ['data', 'manifest'],
    },
    nothing: { apply: () => {}, replaced: [] },
  };

  test.each(Object.keys(damages))('%s: is what the sound one is afterwards, byte for byte', async (name) => {
    damages[name]?.apply();
    expect(await repair()).toEqual(damages[name]?.replaced);
    expect(readFileSync(dataFile('bad')).equals(goodData)).toBe(true);
    expect(readFileSync(manifestFile('bad')).equals(stored.bytes)).toBe(true);
  });

  test.each([
    ['before', false],
    ['after', true],
  ])('it loses nothing where it ends %s any call to the store', async (_, lastIsDone) => {
    let calls = 0;
    for (let done = false; !done; calls += 1) {
      damages['data missing and manifest unreadable']?.apply();
      const manifestBefore = fileOrNull(manifestFile('bad'));
      done = await repair(dyingStore(bad.store, calls, lastIsDone)).then(
        () => true,
        (error: Error) => {
          expect(error.message).toContain('the process died');
          return false;
        },
      );
      await verifyCopy(stored.manifest, sound, identities);
      const data = fileOrNull(dataFile('bad'));
      const manifest = fileOrNull(manifestFile('bad'));
      expect([null, goodData.toString('hex')]).toContain(data);
      // A manifest that can be read stands only beside sound data.
      if (manifest !== manifestBefore) {
        expect(manifest).toBe(Buffer.from(stored.bytes).toString('hex'));
        expect(data).not.toBeNull();
      }
      // The next one gets to the end, from wherever that was.
      await repair();
      await verifyCopy(stored.manifest, bad, identities);
    }
    expect(calls).toBeGreaterThan(8);
  });

  test('what somebody else repaired meanwhile is not replaced again', async () => {
    damages['data changed']?.apply();
    let refused = '';
    const racing: Store = {
      ...passThrough(bad.store),
      upload: async (key, source, options) => {
        await repair();
        return bad.store.upload(key, source, options).catch((error: GranaryError) => {
          refused = error.code;
          throw error;
        });
      },
    };
    await repair(racing);
    expect(refused).toBe('precondition-failed');
    await verifyCopy(stored.manifest, bad, identities);
  });

  test('a copy that is removed meanwhile does not come back', async () => {
    damages['data changed']?.apply();
    const removed: Store = {
      ...passThrough(bad.store),
      upload: async (key, source, options) => {
        rmSync(manifestFile('bad'));
        rmSync(dataFile('bad'));
        return bad.store.upload(key, source, options);
      },
    };
    await expect(repair(removed)).rejects.toMatchObject({ code: 'object-missing' });
    expect(fileOrNull(manifestFile('bad'))).toBeNull();
    expect(fileOrNull(dataFile('bad'))).toBeNull();
  });

  test('a source that turns out to be bad replaces nothing', async () => {
    damages['data changed']?.apply();
    const before = fileOrNull(dataFile('bad'));
    writeFileSync(dataFile('sound'), goodData.subarray(0, goodData.length - 1));
    await expect(repair()).rejects.toMatchObject({ code: 'backup-damaged' });
    expect(fileOrNull(dataFile('bad'))).toBe(before);
  });

  test('of two manifests that can both be read none is taken for the right one', async () => {
    const other = JSON.parse(readFileSync(manifestFile('bad'), 'utf8')) as { agentVersion: string };
    writeFileSync(manifestFile('bad'), JSON.stringify({ ...other, agentVersion: '9.9.9' }));
    await expect(repair()).rejects.toMatchObject({ code: 'backup-damaged' });
    expect(readFileSync(manifestFile('bad'), 'utf8')).toContain('9.9.9');
  });

  test('nothing is written to a store that does not keep conditions', async () => {
    damages['data missing']?.apply();
    const loose: Store = { ...passThrough(bad.store), capabilities: { conditionalWrites: false } };
    await expect(repair(loose)).rejects.toMatchObject({ code: 'store-misconfigured' });
    expect(fileOrNull(dataFile('bad'))).toBeNull();
  });
});
