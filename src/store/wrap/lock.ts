import type { PutOptions, Store } from '../store.ts';
import { passThrough } from './pass-through.ts';

/** Whatever is written with a lock is locked until `until` at least. What is written without one stays free. */
export function withLockUntil(store: Store, until: Date): Store {
  const longer = (options: PutOptions): PutOptions =>
    options.retainUntil !== undefined && options.retainUntil < until
      ? { ...options, retainUntil: until }
      : options;
  return {
    ...passThrough(store),
    put: (key, bytes, options) => store.put(key, bytes, longer(options)),
    upload: (key, source, options) => store.upload(key, source, longer(options)),
  };
}
