import { asGranaryError, type ErrorCode } from '../../model/errors.ts';
import type { ObjectInfo, Store } from '../store.ts';
import { passThrough } from './pass-through.ts';

export type OperationName = 'put' | 'upload' | 'get' | 'head' | 'list' | 'delete' | 'abortStale';

/** One call of a store that has ended, repeated requests and waiting included. */
export interface OperationRecord {
  readonly operation: OperationName;
  /** The key, or the prefix. */
  readonly key: string;
  /** Bytes of objects that were written or read; 0 where the operation moves none or failed to write. */
  readonly bytes: number;
  readonly milliseconds: number;
  /** null: it succeeded. A body or listing that the reader left early counts as that, too. */
  readonly error: ErrorCode | null;
}

/** Tells `onOperation` of each call when it has ended; of a `get` or `list`, when it was read or left. */
export function withObserver(store: Store, onOperation: (record: OperationRecord) => void): Store {
  const begin = (operation: OperationName, key: string) => {
    const begun = performance.now();
    return (bytes: number, error: unknown = null) => {
      const code = error === null ? null : asGranaryError(error, 'store-failed').code;
      onOperation({ operation, key, bytes, milliseconds: performance.now() - begun, error: code });
    };
  };
  const simple = async <T>(
    operation: OperationName,
    key: string,
    run: () => Promise<T>,
    bytesOf: (result: T) => number = () => 0,
  ): Promise<T> => {
    const end = begin(operation, key);
    try {
      const result = await run();
      end(bytesOf(result));
      return result;
    } catch (error) {
      end(0, error);
      throw error;
    }
  };
  return {
    ...passThrough(store),
    put: (key, bytes, options) =>
      simple(
        'put',
        key,
        () => store.put(key, bytes, options),
        (result) => result.size,
      ),
    upload: (key, source, options) =>
      simple(
        'upload',
        key,
        () => store.upload(key, source, options),
        (result) => result.size,
      ),
    head: (key, options) => simple('head', key, () => store.head(key, options)),
    delete: (key, options) => simple('delete', key, () => store.delete(key, options)),
    abortStale: (prefix, before, options) =>
      simple('abortStale', prefix, () => store.abortStale(prefix, before, options)),
    get: async (key, options) => {
      const end = begin('get', key);
      try {
        const { info, body } = await store.get(key, options);
        return { info, body: counted(body, (chunk) => chunk.length, end) };
      } catch (error) {
        end(0, error);
        throw error;
      }
    },
    list: (prefix, options) =>
      counted<ObjectInfo>(store.list(prefix, options), () => 0, begin('list', prefix)),
  };
}

async function* counted<T>(
  items: AsyncIterable<T>,
  bytesOf: (item: T) => number,
  end: (bytes: number, error?: unknown) => void,
): AsyncGenerator<T, void, undefined> {
  let bytes = 0;
  let failure: unknown = null;
  try {
    for await (const item of items) {
      bytes += bytesOf(item);
      yield item;
    }
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    end(bytes, failure);
  }
}
