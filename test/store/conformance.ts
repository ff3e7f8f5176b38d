/** The sentences of `src/store/store.ts`, as tests that every driver passes. */
import { beforeEach, describe, expect, test } from 'vitest';
import { sourceFromBytes } from '../../src/store/source.ts';
import type { Store } from '../../src/store/store.ts';
import { bytesOf, codeOf, collect, GrowingSource, key, keysOf, MiB, noAbort, patterned } from './support.ts';

export interface Subject {
  /** On an empty place. */
  readonly store: Store;
  /** Another one on the same place, as a second process has it. */
  readonly sibling: Store;
  /** Leftovers of writes that did not come to an end: temporary files, unfinished uploads. */
  leftovers(): Promise<number>;
  /** Takes bucket or root folder away. */
  removePlace(): Promise<void>;
}

export interface Gaps {
  /** An emulator that lets the condition of a removal pass. */
  readonly removesAnyway?: boolean;
}

export function conformance(open: () => Promise<Subject>, { removesAnyway = false }: Gaps = {}): void {
  let subject: Subject;
  let store: Store;
  beforeEach(async () => {
    subject = await open();
    store = subject.store;
  });

  const text = (value: string) => Buffer.from(value);
  const read = async (name: string, range: { offset?: number; length?: number } = {}) =>
    bytesOf(await store.get(key(name), { ...noAbort(), ...range }));

  describe('put, get, head, delete', () => {
    test('what is put can be read, and its facts agree everywhere', async () => {
      const before = Date.now();
      const put = await store.put(key('a/b.json'), text('hello'), noAbort());
      const got = await store.get(key('a/b.json'), noAbort());
      const head = await store.head(key('a/b.json'), noAbort());
      const listed = await collect(store.list('', noAbort()));

      expect(put.size).toBe(5);
      expect(String(await bytesOf(got))).toBe('hello');
      for (const info of [got.info, head, listed[0]]) {
        expect(info).toMatchObject({ key: 'a/b.json', size: 5, etag: put.etag });
        expect(Math.abs((info?.modified.getTime() ?? 0) - before)).toBeLessThan(60_000);
      }
      expect(Math.abs((put.storeTime?.getTime() ?? 0) - before)).toBeLessThan(60_000);
    });

    test('an empty object is an object', async () => {
      await store.put(key('empty'), new Uint8Array(), noAbort());
      expect((await store.head(key('empty'), noAbort()))?.size).toBe(0);
      expect(await read('empty')).toHaveLength(0);
      expect(await read('empty', { offset: 0, length: 10 })).toHaveLength(0);
    });

    test('a second put replaces, and the etag changes', async () => {
      const first = await store.put(key('k'), text('one'), noAbort());
      const second = await store.put(key('k'), text('two'), noAbort());
      expect(second.etag).not.toBe(first.etag);
      expect(String(await read('k'))).toBe('two');
    });

    test('what is missing is object-missing to get, null to head, and no error to delete', async () => {
      expect(await codeOf(store.get(key('no/such'), noAbort()))).toBe('object-missing');
      expect(await codeOf(store.get(key('no/such'), { ...noAbort(), offset: 3, length: 0 }))).toBe(
        'object-missing',
      );
      expect(await store.head(key('no/such'), noAbort())).toBeNull();
      await store.delete(key('no/such'), noAbort());
    });

    test('the folder of an object is no object', async () => {
      await store.put(key('a/b/c'), text('x'), noAbort());
      expect(await store.head(key('a/b'), noAbort())).toBeNull();
      expect(await codeOf(store.get(key('a/b'), noAbort()))).toBe('object-missing');
      await store.delete(key('a/b'), noAbort());
      expect(String(await read('a/b/c'))).toBe('x');
    });

    test('delete removes that object and no other', async () => {
      await store.put(key('d/one'), text('1'), noAbort());
      await store.put(key('d/two'), text('2'), noAbort());
      await store.put(key('d2/three'), text('3'), noAbort());
      await store.delete(key('d/one'), noAbort());
      expect(await keysOf(store.list('', noAbort()))).toEqual(['d/two', 'd2/three']);
      await store.delete(key('d/two'), noAbort());
      expect(await keysOf(store.list('', noAbort()))).toEqual(['d2/three']);
      await store.put(key('d/one'), text('again'), noAbort());
      expect(String(await read('d/one'))).toBe('again');
    });

    test('keys may hold every character of our names', async () => {
      const names = [
        '20261121T030000Z',
        'a+b',
        'a@b',
        'a~b',
        'data-01K.db.zst.age',
        'ä/ö',
        'a b',
        "it's",
        'a(1)*!',
        '%41',
      ];
      for (const name of names) await store.put(key(`odd/${name}`), text(name), noAbort());
      for (const name of names) expect(String(await read(`odd/${name}`))).toBe(name);
      expect((await keysOf(store.list('odd/', noAbort()))).toSorted()).toEqual(
        names.map((name) => `odd/${name}`).toSorted(),
      );
    });

    test.each([
      '',
      '/a',
      'a/',
      'a//b',
      '../a',
      'a/../b',
      './a',
      'a\\b',
      'a\nb',
      `a/${'x'.repeat(256)}`,
      '.granary-tmp-1',
      'a/.granary-lock-1',
    ])('the key %j is refused by every method', async (name) => {
      const calls = [
        store.put(key(name), text('x'), noAbort()),
        store.upload(key(name), sourceFromBytes(text('x')), noAbort()),
        store.get(key(name), noAbort()),
        store.head(key(name), noAbort()),
        store.delete(key(name), noAbort()),
      ];
      expect(await Promise.all(calls.map(codeOf))).toEqual(Array(5).fill('invalid-key'));
    });
  });

  describe('ranges', () => {
    test.each([
      [0, 10, 0, 10],
      [3, 4, 3, 7],
      [95, 50, 95, 100],
      [99, 1, 99, 100],
      [100, 1, 100, 100],
      [1_000, 5, 100, 100],
      [50, 0, 50, 50],
    ])('from %i for %i', async (offset, length, start, end) => {
      const bytes = patterned(100);
      await store.put(key('r'), bytes, noAbort());
      const result = await store.get(key('r'), { ...noAbort(), offset, length });
      expect(await bytesOf(result)).toEqual(bytes.subarray(start, end));
      expect(result.info.size).toBe(100);
    });

    test('without a length it goes to the end', async () => {
      await store.put(key('r'), patterned(3 * MiB), noAbort());
      expect(await read('r', { offset: MiB + 1 })).toEqual(patterned(3 * MiB).subarray(MiB + 1));
    });

    test('a body that is left early leaves the store usable', async () => {
      await store.put(key('r'), patterned(8 * MiB), noAbort());
      for (let round = 0; round < 60; round += 1) {
        for await (const chunk of (await store.get(key('r'), noAbort())).body) {
          expect(chunk.length).toBeGreaterThan(0);
          break;
        }
      }
      expect((await store.head(key('r'), noAbort()))?.size).toBe(8 * MiB);
    });
  });

  describe('conditions', () => {
    test('a second create is refused, and what is there stays', async () => {
      await store.put(key('m'), text('first'), { ...noAbort(), createOnly: true });
      for (const again of [store, subject.sibling]) {
        expect(await codeOf(again.put(key('m'), text('other'), { ...noAbort(), createOnly: true }))).toBe(
          'precondition-failed',
        );
        expect(
          await codeOf(
            again.upload(key('m'), sourceFromBytes(text('other')), { ...noAbort(), createOnly: true }),
          ),
        ).toBe('precondition-failed');
      }
      expect(String(await read('m'))).toBe('first');
      expect(await subject.leftovers()).toBe(0);
    });

    test('of twenty creates at once exactly one wins, and its bytes are there', async () => {
      for (let round = 0; round < 5; round += 1) {
        const name = key(`race/${round}`);
        const outcomes = await Promise.all(
          Array.from({ length: 20 }, (_, index) =>
            (index % 2 === 0 ? store : subject.sibling)
              .put(name, text(`writer ${index}`), { ...noAbort(), createOnly: true })
              .then(
                () => index,
                (error: { code: string }) => error.code,
              ),
          ),
        );
        const winners = outcomes.filter((outcome) => typeof outcome === 'number');
        expect(winners).toHaveLength(1);
        expect(outcomes.filter((outcome) => outcome === 'precondition-failed')).toHaveLength(19);
        expect(String(await read(name))).toBe(`writer ${winners[0]}`);
      }
    });

    test('of twenty replacements of one version exactly one wins', async () => {
      let { etag } = await store.put(key('v'), text('start'), noAbort());
      for (let round = 0; round < 5; round += 1) {
        const outcomes = await Promise.all(
          Array.from({ length: 20 }, (_, index) =>
            (index % 2 === 0 ? store : subject.sibling)
              .put(key('v'), text(`round ${round}, writer ${index}`), { ...noAbort(), ifMatch: etag })
              .then(
                (result) => result.etag,
                (error: { code: string }) => error.code,
              ),
          ),
        );
        const winners = outcomes.filter((outcome) => outcome !== 'precondition-failed');
        expect(winners).toHaveLength(1);
        const head = await store.head(key('v'), noAbort());
        expect(head?.etag).toBe(winners[0]);
        etag = head?.etag ?? '';
      }
    });

    test('an etag matches as head, get and list give it', async () => {
      await store.put(key('v'), text('1'), noAbort());
      const head = await store.head(key('v'), noAbort());
      await store.put(key('v'), text('2'), { ...noAbort(), ifMatch: head?.etag });
      const { info } = await store.get(key('v'), { ...noAbort(), length: 1 });
      await store.put(key('v'), text('3'), { ...noAbort(), ifMatch: info.etag });
      const [listed] = await collect(store.list('v', noAbort()));
      await store.put(key('v'), text('4'), { ...noAbort(), ifMatch: listed?.etag });
      expect(String(await read('v'))).toBe('4');
    });

    test('a stale etag is refused, also where the object has gone', async () => {
      const { etag } = await store.put(key('v'), text('1'), noAbort());
      await store.put(key('v'), text('2'), { ...noAbort(), ifMatch: etag });
      expect(await codeOf(store.put(key('v'), text('3'), { ...noAbort(), ifMatch: etag }))).toBe(
        'precondition-failed',
      );
      expect(String(await read('v'))).toBe('2');
      await store.delete(key('v'), noAbort());
      expect(await codeOf(store.put(key('v'), text('3'), { ...noAbort(), ifMatch: etag }))).toBe(
        'precondition-failed',
      );
      expect(await store.head(key('v'), noAbort())).toBeNull();
    });

    const told = 'a removal by condition takes what it was told of, and nothing that was written since';
    test.skipIf(removesAnyway)(told, async () => {
      const first = await store.put(key('v'), text('1'), noAbort());
      const second = await store.put(key('v'), text('2'), noAbort());
      expect(await codeOf(store.delete(key('v'), { ...noAbort(), ifMatch: first.etag }))).toBe(
        'precondition-failed',
      );
      expect(String(await read('v'))).toBe('2');
      await store.delete(key('v'), { ...noAbort(), ifMatch: second.etag });
      expect(await store.head(key('v'), noAbort())).toBeNull();
      // That nothing is there is no error: a removal whose answer was lost is made once more.
      await store.delete(key('v'), { ...noAbort(), ifMatch: second.etag });
      await store.put(key('v'), text('3'), { ...noAbort(), createOnly: true });
      expect(await codeOf(store.delete(key('v'), { ...noAbort(), ifMatch: second.etag }))).toBe(
        'precondition-failed',
      );
      expect(String(await read('v'))).toBe('3');
    });

    test('writers who count up by conditions never lose a step', async () => {
      await store.put(key('count'), text('0'), noAbort());
      const addOne = async (through: Store) => {
        for (;;) {
          const current = await through.get(key('count'), noAbort());
          const next = Number(String(await bytesOf(current))) + 1;
          const code = await codeOf(
            through.put(key('count'), text(String(next)), { ...noAbort(), ifMatch: current.info.etag }),
          );
          if (code === undefined) return;
          expect(code).toBe('precondition-failed');
        }
      };
      await Promise.all(
        Array.from({ length: 12 }, (_, index) => addOne(index % 2 === 0 ? store : subject.sibling)),
      );
      expect(String(await read('count'))).toBe('12');
    });
  });

  describe('list', () => {
    test('is empty only where nothing is', async () => {
      expect(await keysOf(store.list('', noAbort()))).toEqual([]);
      expect(await keysOf(store.list('no/such/', noAbort()))).toEqual([]);
    });

    test('goes by the bytes of keys, beyond one page', async () => {
      const names: string[] = [
        'a',
        'a-b',
        'a.b',
        'a0',
        'aa',
        'b/c',
        'b-',
        'b0',
        'ä',
        'z',
        '\u{ffee}',
        '\u{1f600}',
        'B',
      ];
      // A folder sorts as `b/`: after `b-`, before `b0`.
      for (let index = 0; index < 1_150; index += 1) names.push(`many/${index}`);
      const queue = [...names];
      await Promise.all(
        Array.from({ length: 16 }, async () => {
          for (let name = queue.pop(); name !== undefined; name = queue.pop())
            await store.put(key(name), text('x'), noAbort());
        }),
      );
      const inOrder = names.toSorted((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
      expect(await keysOf(store.list('', noAbort()))).toEqual(inOrder);
      expect(await keysOf(store.list('many/11', noAbort()))).toEqual(
        inOrder.filter((name) => name.startsWith('many/11')),
      );
      expect(await keysOf(store.list('b', noAbort()))).toEqual(['b-', 'b/c', 'b0']);
      expect(await keysOf(store.list('b/', noAbort()))).toEqual(['b/c']);
    });

    test('can be left early, and be aborted', async () => {
      for (const name of ['1', '2', '3']) await store.put(key(name), text(name), noAbort());
      for await (const { key: name } of store.list('', noAbort())) {
        expect(name).toBe('1');
        break;
      }
      const controller = new AbortController();
      controller.abort(new Error('enough'));
      await expect(keysOf(store.list('', { signal: controller.signal }))).rejects.toThrow('enough');
    });
  });

  describe('upload', () => {
    test.each([0, 1, MiB, 16 * MiB + 1])('%i bytes come back as they went', async (length) => {
      const bytes = patterned(length, length + 1);
      const result = await store.upload(key('u'), sourceFromBytes(bytes), noAbort());
      expect(result.size).toBe(length);
      expect((await store.head(key('u'), noAbort()))?.etag).toBe(result.etag);
      expect((await read('u')).equals(bytes)).toBe(true);
    });

    test('more than is written in one request comes back as it went, at and around the border', async () => {
      for (const length of [64 * MiB, 64 * MiB + 1, 100 * MiB + 7]) {
        const bytes = patterned(length, length);
        const seen: number[] = [];
        const result = await store.upload(key('u'), sourceFromBytes(bytes), {
          ...noAbort(),
          onProgress: (count) => seen.push(count),
        });
        expect(result.size).toBe(length);
        expect((await read('u')).equals(bytes)).toBe(true);
        expect(seen).toEqual(seen.toSorted((left, right) => left - right));
        expect(seen.at(-1)).toBe(length);
      }
      expect(await subject.leftovers()).toBe(0);
    });

    test('a source that grows is followed, and nothing is visible before its end', async () => {
      const source = new GrowingSource();
      const uploading = store.upload(key('g'), source, { ...noAbort(), createOnly: true });
      const bytes = patterned(70 * MiB, 5);
      for (let offset = 0; offset < bytes.length; offset += 7 * MiB) {
        source.push(bytes.subarray(offset, offset + 7 * MiB));
        expect(await store.head(key('g'), noAbort())).toBeNull();
      }
      source.end();
      expect((await uploading).size).toBe(bytes.length);
      expect((await read('g')).equals(bytes)).toBe(true);
    });

    test('a source that fails leaves nothing, and its error comes through', async () => {
      const source = new GrowingSource();
      const uploading = store.upload(key('f'), source, noAbort());
      source.onWait = (offset) => {
        if (offset > 64 * MiB) source.fail(new Error('etcd went away'));
      };
      source.push(patterned(90 * MiB));
      await expect(uploading).rejects.toThrow('etcd went away');
      expect(await keysOf(store.list('', noAbort()))).toEqual([]);
      expect(await subject.leftovers()).toBe(0);
    });

    test('an abort in the middle rejects with its reason and leaves nothing', async () => {
      const controller = new AbortController();
      const reason = new Error('shut down');
      const uploading = store.upload(key('f'), sourceFromBytes(patterned(90 * MiB)), {
        signal: controller.signal,
        onProgress: (count) => count > 20 * MiB && controller.abort(reason),
      });
      await expect(uploading).rejects.toBe(reason);
      expect(await keysOf(store.list('', noAbort()))).toEqual([]);
      expect(await subject.leftovers()).toBe(0);
    });

    test('create-only holds for parts too', async () => {
      await store.put(key('c'), text('first'), noAbort());
      const uploading = store.upload(key('c'), sourceFromBytes(patterned(65 * MiB)), {
        ...noAbort(),
        createOnly: true,
      });
      expect(await codeOf(uploading)).toBe('precondition-failed');
      expect(String(await read('c'))).toBe('first');
      expect(await subject.leftovers()).toBe(0);
    });
  });

  test.each([
    ['an error', new Error('no more')],
    // What `AbortSignal.timeout` gives: its `code` is a number, where other errors have a word.
    ['a time that is over', new DOMException('the time is over', 'TimeoutError')],
  ])('a call whose signal was aborted before by %s does nothing', async (_what, reason) => {
    const signal = AbortSignal.abort(reason);
    const calls = [
      store.put(key('k'), text('x'), { signal }),
      store.upload(key('k'), sourceFromBytes(text('x')), { signal }),
      store.get(key('k'), { signal }),
      store.head(key('k'), { signal }),
      store.delete(key('k'), { signal }),
      store.abortStale('', new Date(), { signal }),
    ];
    for (const call of calls) await expect(call).rejects.toBe(reason);
    await expect(keysOf(store.list('', { signal }))).rejects.toBe(reason);
    expect(await keysOf(store.list('', noAbort()))).toEqual([]);
  });

  test('abortStale spares what is visible and what is young', async () => {
    await store.put(key('s/visible'), text('x'), noAbort());
    expect(await store.abortStale('s/', new Date(0), noAbort())).toBe(0);
    expect(await store.abortStale('s/', new Date(Date.now() + 60_000), noAbort())).toBe(0);
    expect(await keysOf(store.list('s/', noAbort()))).toEqual(['s/visible']);
  });

  test('a missing place is bucket-missing to every method, never an empty answer', async () => {
    await store.put(key('k'), text('x'), noAbort());
    await subject.removePlace();
    const calls = {
      put: store.put(key('a/k'), text('x'), noAbort()),
      create: store.put(key('k'), text('x'), { ...noAbort(), createOnly: true }),
      upload: store.upload(key('k'), sourceFromBytes(text('x')), noAbort()),
      parts: store.upload(key('p'), sourceFromBytes(patterned(65 * MiB)), noAbort()),
      get: store.get(key('k'), noAbort()),
      head: store.head(key('k'), noAbort()),
      list: keysOf(store.list('', noAbort())),
      listBelow: keysOf(store.list('a/b', noAbort())),
      delete: store.delete(key('k'), noAbort()),
      abortStale: store.abortStale('', new Date(), noAbort()),
    };
    const codes = Object.fromEntries(
      await Promise.all(Object.entries(calls).map(async ([name, call]) => [name, await codeOf(call)])),
    );
    expect(codes).toEqual(Object.fromEntries(Object.keys(calls).map((name) => [name, 'bucket-missing'])));
  });
}
