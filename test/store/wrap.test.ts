import { describe, expect, test } from 'vitest';
import { type ErrorCode, GranaryError } from '../../src/model/errors.ts';
import type { GetResult, Store } from '../../src/store/store.ts';
import { withLimit } from '../../src/store/wrap/limit.ts';
import { type OperationRecord, withObserver } from '../../src/store/wrap/observe.ts';
import { type RetryPolicy, retrying, withRetry } from '../../src/store/wrap/retry.ts';
import { stalling, withStallLimit } from '../../src/store/wrap/stall.ts';
import { bytesOf, codeOf, key, noAbort } from './support.ts';

const quick: RetryPolicy = { attempts: 4, baseMs: 1, capMs: 2, budgetMs: 60_000 };
const info = { key: key('k'), size: 10, modified: new Date(0), etag: 'e' };

/** A store of which a test makes only the methods that it needs. */
function storeOf(methods: Partial<Store>): Store {
  const missing = () => {
    throw new Error('not made for this test');
  };
  return {
    url: 'test://',
    capabilities: { conditionalWrites: true },
    ...{ put: missing, upload: missing, get: missing, head: missing, list: missing },
    ...{ delete: missing, abortStale: missing, close: async () => {} },
    ...methods,
  };
}

function never(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
}

/** All that is ready to run has run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Fails with these codes, one after the other, then gives the number of calls. */
function failing(...codes: ErrorCode[]): () => Promise<number> {
  let calls = 0;
  return async () => {
    const code = codes[calls];
    calls += 1;
    if (code !== undefined) throw new GranaryError(code, `failure ${calls}`);
    return calls;
  };
}

describe('retry', () => {
  const run = (attempt: () => Promise<number>, policy = quick) => retrying(policy, noAbort().signal, attempt);

  test('what may pass is repeated until it does', async () => {
    expect(await run(failing('store-busy', 'stalled', 'store-unreachable'))).toBe(4);
  });

  test('at the end of the attempts the last failure is told', async () => {
    await expect(
      run(failing('store-busy', 'store-busy', 'store-busy', 'stalled', 'store-busy')),
    ).rejects.toThrow('failure 4');
  });

  test.each<ErrorCode>([
    'precondition-failed',
    'access-denied',
    'disk-full',
    'invalid-key',
    'bucket-missing',
  ])('%s is not repeated', async (code) => {
    await expect(run(failing(code))).rejects.toThrow('failure 1');
  });

  test('a foreign error is not repeated', async () => {
    let calls = 0;
    const attempt = async () => {
      calls += 1;
      throw new TypeError('a fault of ours');
    };
    await expect(run(attempt)).rejects.toThrow('a fault of ours');
    expect(calls).toBe(1);
  });

  test('no attempt begins after the budget', async () => {
    await expect(run(failing('store-busy', 'store-busy'), { ...quick, budgetMs: 0 })).rejects.toThrow(
      'failure 1',
    );
  });

  test('an abort ends the waiting, with its reason', async () => {
    const controller = new AbortController();
    const reason = new Error('shut down');
    const attempt = async () => {
      queueMicrotask(() => controller.abort(reason));
      throw new GranaryError('store-busy', 'busy');
    };
    const policy = { ...quick, baseMs: 1e9, capMs: 1e9, budgetMs: 1e12 };
    await expect(retrying(policy, controller.signal, attempt)).rejects.toBe(reason);
  });

  test('a body that breaks without any progress is given up in the end', async () => {
    let gets = 0;
    const store = withRetry(
      storeOf({
        async get(): Promise<GetResult> {
          gets += 1;
          return {
            info,
            body: {
              // biome-ignore lint/correctness/useYield: it fails before there is anything to yield
              async *[Symbol.asyncIterator]() {
                throw new GranaryError('store-unreachable', 'broke');
              },
            },
          };
        },
      }),
      quick,
    );
    expect(await codeOf(store.get(key('k'), noAbort()).then(bytesOf))).toBe('store-unreachable');
    expect(gets).toBe(4);
  });
});

describe('stall', () => {
  test('what moves goes on beyond the limit', async () => {
    let left = 8;
    const result = await stalling(
      400,
      noAbort().signal,
      ({ moved }) =>
        new Promise((resolve) => {
          const timer = setInterval(() => {
            moved();
            left -= 1;
            if (left === 0) {
              clearInterval(timer);
              resolve('done');
            }
          }, 100);
        }),
    );
    expect(result).toBe('done');
  });

  test('what stands still is aborted and fails with stalled', async () => {
    let reason: unknown;
    const request = async ({ signal }: { signal: AbortSignal }) => {
      await never(signal).catch((error: unknown) => {
        reason = error;
        throw error;
      });
    };
    expect(await codeOf(stalling(20, noAbort().signal, request))).toBe('stalled');
    expect(reason).toMatchObject({ code: 'stalled' });
  });

  test('a request that does not even heed the abort is left behind', async () => {
    expect(await codeOf(stalling(20, noAbort().signal, () => new Promise(() => {})))).toBe('stalled');
  });

  test("the caller's abort is told as such", async () => {
    const controller = new AbortController();
    const waiting = stalling(60_000, controller.signal, ({ signal }) => never(signal));
    controller.abort(new Error('shut down'));
    await expect(waiting).rejects.toThrow('shut down');
  });

  test('a slow reader is not taken for a slow store', async () => {
    const body = async function* () {
      yield Buffer.from('a');
      yield Buffer.from('b');
    };
    const store = withStallLimit(storeOf({ get: async () => ({ info, body: body() }) }), 50);
    const read: string[] = [];
    for await (const chunk of (await store.get(key('k'), noAbort())).body) {
      read.push(String(chunk));
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(read).toEqual(['a', 'b']);
  });

  test('a body that stops in the middle is stalled', async () => {
    const get: Store['get'] = async (_key, { signal }) => ({
      info,
      body: (async function* () {
        yield Buffer.from('a');
        await never(signal);
      })(),
    });
    const store = withStallLimit(storeOf({ get }), 50);
    expect(await codeOf(store.get(key('k'), noAbort()).then(bytesOf))).toBe('stalled');
  });
});

describe('limit', () => {
  test('no more at a time than allowed, first come first served', async () => {
    const begun: string[] = [];
    const release: (() => void)[] = [];
    const store = withLimit(
      storeOf({
        head: (name) => {
          begun.push(name);
          return new Promise((resolve) => release.push(() => resolve(null)));
        },
      }),
      { operations: 2, uploads: 1 },
    );
    const calls = ['a', 'b', 'c', 'd'].map((name) => store.head(key(name), noAbort()));
    await settled();
    expect(begun).toEqual(['a', 'b']);
    release.shift()?.();
    await calls[0];
    await settled();
    expect(begun).toEqual(['a', 'b', 'c']);
    for (let index = 1; index < 4; index += 1) {
      release.shift()?.();
      await calls[index];
      await settled();
    }
    expect(begun).toEqual(['a', 'b', 'c', 'd']);
  });

  test('who is aborted while waiting leaves the queue, and a failure frees its place', async () => {
    const held = Promise.withResolvers<null>();
    let calls = 0;
    const store = withLimit(
      storeOf({
        head: () => {
          calls += 1;
          return calls === 1 ? held.promise : Promise.resolve(null);
        },
      }),
      { operations: 1, uploads: 1 },
    );
    const first = store.head(key('a'), noAbort());
    const controller = new AbortController();
    const second = store.head(key('b'), controller);
    const third = store.head(key('c'), noAbort());
    controller.abort(new Error('enough'));
    await expect(second).rejects.toThrow('enough');
    held.reject(new Error('broke'));
    await expect(first).rejects.toThrow('broke');
    expect(await third).toBeNull();
    expect(calls).toBe(2);
  });
});

test('the observer hears of each call once it has ended, with bytes and failure', async () => {
  const heard: Omit<OperationRecord, 'milliseconds'>[] = [];
  const body = async function* () {
    yield Buffer.from('abc');
    yield Buffer.from('de');
  };
  const store = withObserver(
    storeOf({
      get: async () => ({ info, body: body() }),
      put: async () => ({ etag: 'e', size: 7, checksums: {}, storeTime: null }),
      delete: async () => {
        throw new GranaryError('access-denied', 'no');
      },
      list: async function* () {
        yield info;
        throw new GranaryError('store-busy', 'later');
      },
    }),
    ({ milliseconds, ...record }) => {
      expect(milliseconds).toBeGreaterThanOrEqual(0);
      heard.push(record);
    },
  );
  await bytesOf(await store.get(key('g'), noAbort()));
  for await (const _chunk of (await store.get(key('left'), noAbort())).body) break;
  await store.put(key('p'), Buffer.alloc(7), noAbort());
  await codeOf(store.delete(key('d'), noAbort()));
  const listing = store.list('l/', noAbort())[Symbol.asyncIterator]();
  await listing.next();
  await expect(listing.next()).rejects.toThrow('later');
  expect(heard).toEqual([
    { operation: 'get', key: 'g', bytes: 5, error: null },
    { operation: 'get', key: 'left', bytes: 3, error: null },
    { operation: 'put', key: 'p', bytes: 7, error: null },
    { operation: 'delete', key: 'd', bytes: 0, error: 'access-denied' },
    { operation: 'list', key: 'l/', bytes: 0, error: 'store-busy' },
  ]);
});
