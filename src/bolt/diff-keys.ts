/** Two ordered streams of keys, compared: what came, what changed, what went. */
import type { StoredKey } from './keys.ts';

export type KeyChange =
  | { readonly change: 'added'; readonly before: null; readonly after: StoredKey }
  | { readonly change: 'changed'; readonly before: StoredKey; readonly after: StoredKey }
  | { readonly change: 'removed'; readonly before: StoredKey; readonly after: null }
  | { readonly change: 'unchanged'; readonly before: StoredKey; readonly after: StoredKey };

/**
 * Every key of either side once, in the order of their bytes. Changed is a key whose value differs; one that was
 * written anew with the same value is unchanged, whatever its revisions. Both streams must have values.
 */
export async function* diffKeys(
  before: AsyncIterator<StoredKey, unknown>,
  after: AsyncIterator<StoredKey, unknown>,
): AsyncGenerator<KeyChange, void> {
  let [old, fresh] = await Promise.all([next(before), next(after)]);
  while (old !== null || fresh !== null) {
    if (fresh === null || (old !== null && Buffer.compare(old.key, fresh.key) < 0)) {
      if (old !== null) yield { change: 'removed', before: old, after: null };
      old = await next(before);
    } else if (old === null || Buffer.compare(old.key, fresh.key) > 0) {
      yield { change: 'added', before: null, after: fresh };
      fresh = await next(after);
    } else {
      const change = sameValue(old, fresh) ? 'unchanged' : 'changed';
      yield { change, before: old, after: fresh };
      [old, fresh] = await Promise.all([next(before), next(after)]);
    }
  }
}

async function next(keys: AsyncIterator<StoredKey, unknown>): Promise<StoredKey | null> {
  const result = await keys.next();
  return result.done === true ? null : result.value;
}

function sameValue(one: StoredKey, other: StoredKey): boolean {
  if (one.value === null || other.value === null) throw new Error('values were not read');
  return Buffer.compare(one.value, other.value) === 0;
}
