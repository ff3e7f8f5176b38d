import type { Store } from '../store.ts';

/** The methods of a store, bound to it, for a wrapper to replace some of. */
export function passThrough(store: Store): Store {
  return {
    get url() {
      return store.url;
    },
    get capabilities() {
      return store.capabilities;
    },
    put: (key, bytes, options) => store.put(key, bytes, options),
    upload: (key, source, options) => store.upload(key, source, options),
    get: (key, options) => store.get(key, options),
    head: (key, options) => store.head(key, options),
    list: (prefix, options) => store.list(prefix, options),
    delete: (key, options) => store.delete(key, options),
    abortStale: (prefix, before, options) => store.abortStale(prefix, before, options),
    close: () => store.close(),
  };
}
