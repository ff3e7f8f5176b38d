import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openFilesystemStore } from '../../src/store/drivers/filesystem.ts';
import { openStore } from '../../src/store/open.ts';
import { sourceFromBytes } from '../../src/store/source.ts';
import type { Store } from '../../src/store/store.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { conformance } from './conformance.ts';
import { filesystemDestination } from './destinations.ts';
import { codeOf, key, keysOf, MiB, noAbort, patterned } from './support.ts';

let folder: TempFolder;
beforeEach(() => {
  folder = tempFolder('store');
});
afterEach(() => folder.remove());

/** All that lies in the folder, hidden or not. */
function everything(): string[] {
  return readdirSync(folder.path, { recursive: true }).map(String).toSorted();
}

describe('filesystem', () => {
  conformance(async () => ({
    store: await openStore(filesystemDestination(folder.path), null),
    sibling: await openFilesystemStore({ path: folder.path }),
    leftovers: async () => everything().filter((name) => name.includes('.granary-')).length,
    removePlace: async () => rmSync(folder.path, { recursive: true }),
  }));
});

describe('filesystem, its own', () => {
  let store: Store;
  beforeEach(async () => {
    store = await openFilesystemStore({ path: folder.path });
  });

  test('the root folder is made only where that is asked for', async () => {
    const path = folder.join('not', 'there');
    expect(await codeOf(openFilesystemStore({ path }))).toBe('bucket-missing');
    await (await openFilesystemStore({ path, create: true })).put(key('k'), Buffer.from('x'), noAbort());
    expect(readFileSync(join(path, 'k'), 'utf8')).toBe('x');
  });

  test('a root that is written with more slashes than it needs is the same', async () => {
    const path = folder.path.replace('/', '//');
    const loose = await openFilesystemStore({ path: `${path}//` });
    await loose.put(key('a/b'), Buffer.from('x'), noAbort());
    await loose.delete(key('a/b'), noAbort());
    expect([everything(), loose.url]).toEqual([[], store.url]);
  });

  test('a relative path, and a file for a root, are refused', async () => {
    writeFileSync(folder.join('file'), '');
    expect(await codeOf(openFilesystemStore({ path: 'relative' }))).toBe('store-misconfigured');
    expect(await codeOf(openFilesystemStore({ path: folder.join('file') }))).toBe('bucket-missing');
  });

  test('files and folders are for their owner alone', async () => {
    await store.put(key('a/b'), Buffer.from('x'), noAbort());
    expect(statSync(folder.join('a')).mode & 0o777).toBe(0o700);
    expect(statSync(folder.join('a', 'b')).mode & 0o777).toBe(0o600);
  });

  test('delete takes empty folders away, never the root nor a folder with something in it', async () => {
    await store.put(key('a/b/c/one'), Buffer.from('1'), noAbort());
    await store.put(key('a/two'), Buffer.from('2'), noAbort());
    await store.delete(key('a/b/c/one'), noAbort());
    expect(everything()).toEqual(['a', 'a/two']);
    await store.delete(key('a/two'), noAbort());
    expect(everything()).toEqual([]);
    expect(statSync(folder.path).isDirectory()).toBe(true);
  });

  test('a failed write leaves no folder either', async () => {
    const failing = { read: () => Promise.reject(new Error('no source')) };
    await expect(store.upload(key('x/y/z'), failing, noAbort())).rejects.toThrow('no source');
    expect(everything()).toEqual([]);
  });

  test('writers and deleters of neighbouring keys do not disturb each other', async () => {
    const work = Array.from({ length: 8 }, async (_, index) => {
      for (let round = 0; round < 25; round += 1) {
        const name = key(`deep/er/${index % 3}/${index}`);
        await store.put(name, Buffer.from('x'), { ...noAbort(), createOnly: true });
        await store.delete(name, noAbort());
      }
    });
    await Promise.all(work);
    expect(everything()).toEqual([]);
  });

  test('a create that meets a removal is done or refused, and nothing else', async () => {
    const codes = new Set<string | undefined>();
    const many = async (call: () => Promise<string | undefined>) => {
      for (let left = 150; left > 0; left -= 1) codes.add(await call());
    };
    const create = () => codeOf(store.put(key('k'), Buffer.from('x'), { ...noAbort(), createOnly: true }));
    const remove = () => codeOf(store.delete(key('k'), noAbort()));
    await Promise.all([create, create, create, create, remove, remove].map(many));
    expect(codes).toEqual(new Set([undefined, 'precondition-failed']));
  });

  test('what a crash left is invisible, goes with abortStale, and only when it is old', async () => {
    await store.put(key('a/k'), Buffer.from('x'), noAbort());
    const old = new Date(Date.now() - 48 * 3_600_000);
    const temp = folder.join('a', '.granary-tmp-11111111-1111-4111-8111-111111111111');
    const draft = folder.join('a', '.granary-tmp-22222222-2222-4222-8222-222222222222');
    const lock = folder.join('a', '.granary-lock-0123');
    writeFileSync(temp, 'half');
    for (const path of [draft, lock]) {
      mkdirSync(join(path, 'holder'), { recursive: true });
      writeFileSync(join(path, 'holder', 'new'), 'half');
    }
    for (const path of [temp, draft, lock]) utimesSync(path, old, old);
    writeFileSync(folder.join('.granary-tmp-young'), 'being written');

    expect(await keysOf(store.list('', noAbort()))).toEqual(['a/k']);
    expect(await store.abortStale('', new Date(Date.now() - 72 * 3_600_000), noAbort())).toBe(0);
    expect(await store.abortStale('', new Date(Date.now() - 24 * 3_600_000), noAbort())).toBe(3);
    expect(everything()).toEqual(['.granary-tmp-young', 'a', 'a/k']);
  });

  test('a lock whose holder died is taken over, and the holder can no longer write', async () => {
    const { etag } = await store.put(key('k'), Buffer.from('1'), noAbort());
    const { withKeyLock } = await import('../../src/store/drivers/filesystem-lock.ts');
    const { rename } = await import('node:fs/promises');
    const taken = Promise.withResolvers<void>();
    const resume = Promise.withResolvers<void>();
    // A writer that is stopped between looking and replacing, as by SIGSTOP.
    const sleeper = withKeyLock(folder.path, 'k', noAbort().signal, async (held) => {
      writeFileSync(held('new'), 'stale');
      taken.resolve();
      await resume.promise;
      await rename(held('new'), folder.join('k'));
    });
    await taken.promise;
    await store.put(key('k'), Buffer.from('2'), { ...noAbort(), ifMatch: etag });
    resume.resolve();
    expect(await codeOf(sleeper)).toBe('store-busy');
    expect(readFileSync(folder.join('k'), 'utf8')).toBe('2');
    expect(everything()).toEqual(['k']);
  }, 60_000);

  test('waiting for a lock ends with the signal', async () => {
    const { withKeyLock } = await import('../../src/store/drivers/filesystem-lock.ts');
    const controller = new AbortController();
    await withKeyLock(folder.path, 'k', noAbort().signal, async () => {
      const waiting = store.put(key('k'), Buffer.from('1'), { signal: controller.signal });
      controller.abort(new Error('enough'));
      await expect(waiting).rejects.toThrow('enough');
    });
    expect(everything()).toEqual([]);
  });

  test('an etag never comes back, however fast versions follow each other', async () => {
    const seen = new Set<string>();
    for (let round = 0; round < 200; round += 1) {
      seen.add((await store.put(key('k'), Buffer.from('same'), noAbort())).etag);
    }
    expect(seen.size).toBe(200);
  });

  test('a symbolic link is refused, not followed and not left out', async () => {
    symlinkSync('/etc', folder.join('link'));
    symlinkSync('/etc/hostname', folder.join('file-link'));
    expect(await codeOf(keysOf(store.list('', noAbort())))).toBe('store-misconfigured');
    expect(await codeOf(store.get(key('file-link'), noAbort()))).toBe('store-misconfigured');
    expect(await keysOf(store.list('other', noAbort()))).toEqual([]);
  });

  test('an object in the way of a folder, and a folder in the way of an object, are named', async () => {
    await store.put(key('a'), Buffer.from('x'), noAbort());
    await store.put(key('d/e'), Buffer.from('x'), noAbort());
    for (const createOnly of [true, false]) {
      expect(await codeOf(store.put(key('a/b'), Buffer.from('y'), { ...noAbort(), createOnly }))).toBe(
        'invalid-key',
      );
      expect(await codeOf(store.put(key('d'), Buffer.from('y'), { ...noAbort(), createOnly }))).toBe(
        'invalid-key',
      );
    }
    expect(everything()).toEqual(['a', 'd', 'd/e']);
  });
});

const isRoot = process.getuid?.() === 0;

describe.skipIf(!isRoot)(
  isRoot ? 'a small filesystem' : 'a small filesystem (skipped: mounting needs root)',
  () => {
    let mounted: string;
    beforeEach(() => {
      mounted = folder.join('small');
      mkdirSync(mounted);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', mounted]);
    });
    afterEach(() => {
      execFileSync('umount', [mounted]);
    });

    test('that is full is disk-full, and nothing is left', async () => {
      const store = await openStore(filesystemDestination(mounted), null);
      const bytes = patterned(8 * MiB);
      expect(await codeOf(store.put(key('a/k'), bytes, noAbort()))).toBe('disk-full');
      expect(await codeOf(store.upload(key('a/k'), sourceFromBytes(bytes), noAbort()))).toBe('disk-full');
      expect(readdirSync(mounted)).toEqual([]);
      await store.put(key('a/k'), patterned(MiB), noAbort());
    });

    test('that has no room left for anything still lets objects go', async () => {
      const store = await openStore(filesystemDestination(mounted), null);
      await store.put(key('a/k'), Buffer.from('x'), noAbort());
      execFileSync('mount', ['-o', 'remount,nr_inodes=4', mounted]);
      // The root, the folder, the object, and this one: now there is no inode for a lock.
      writeFileSync(join(mounted, 'filler'), '');
      expect(() => mkdirSync(join(mounted, 'more'))).toThrow('ENOSPC');
      await store.delete(key('a/k'), noAbort());
      expect(readdirSync(mounted)).toEqual(['filler']);
    });

    test('that is read-only is access-denied', async () => {
      const store = await openStore(filesystemDestination(mounted), null);
      await store.put(key('k'), Buffer.from('x'), noAbort());
      execFileSync('mount', ['-o', 'remount,ro', mounted]);
      expect(await codeOf(store.put(key('l'), Buffer.from('x'), noAbort()))).toBe('access-denied');
      expect(await codeOf(store.delete(key('k'), noAbort()))).toBe('access-denied');
      expect(await keysOf(store.list('', noAbort()))).toEqual(['k']);
    });
  },
);
