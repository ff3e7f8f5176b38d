/**
 * For stores that do not keep the conditions of writes: those that ignore them, and those that refuse a request that has
 * one. What is asked for is looked up before, and the write itself goes without. Between look and write somebody else may
 * have written, so `capabilities.conditionalWrites` stays false, and whoever commits gives each attempt a name of its own.
 */
import { GranaryError } from '../../model/errors.ts';
import type { ObjectKey } from '../../model/names.ts';
import type { DeleteOptions, PutOptions, Store } from '../store.ts';
import { passThrough } from './pass-through.ts';

export function withoutConditions(store: Store): Store {
  const capabilities = { ...store.capabilities, conditionalWrites: false };
  const lookedUp = async (key: ObjectKey, options: PutOptions): Promise<PutOptions> => {
    const { createOnly, ifMatch, ...rest } = options;
    if (createOnly !== true && ifMatch === undefined) return options;
    const present = await store.head(key, { signal: options.signal });
    if (createOnly === true ? present === null : present?.etag === ifMatch) return rest;
    throw changed(key);
  };
  return {
    ...passThrough(store),
    capabilities,
    put: async (key, bytes, options) => store.put(key, bytes, await lookedUp(key, options)),
    upload: async (key, source, options) => store.upload(key, source, await lookedUp(key, options)),
    delete: async (key, { ifMatch, ...options }: DeleteOptions) => {
      if (ifMatch !== undefined) {
        const present = await store.head(key, { signal: options.signal });
        if (present === null) return;
        if (present.etag !== ifMatch) throw changed(key);
      }
      await store.delete(key, options);
    },
  };
}

function changed(key: ObjectKey): GranaryError {
  return new GranaryError('precondition-failed', `${key} is not what was to be found there`, {
    hint: 'somebody else wrote at the same time; look again',
  });
}
