/** `granary.json`: makes a bucket or folder a destination, with an id of its own. */
import { randomUUID } from 'node:crypto';
import { GranaryError, isGranaryError } from '../model/errors.ts';
import type { Marker } from '../model/generated/marker.ts';
import type { CallOptions, Store } from '../store/store.ts';
import { type DocumentKind, decodeDocument, readSmall } from './document.ts';
import { markerKey } from './keys.ts';

const markerKind: DocumentKind = {
  schema: 'marker',
  formatField: 'format',
  format: 1,
  code: 'marker-mismatch',
  hint: 'something else wrote there: give the destination another prefix, or remove the object if nothing needs it',
  limit: 64 * 1024,
};

/**
 * The marker of a destination; null where there is none yet.
 * @throws GranaryError `marker-mismatch` where the object is none of ours, `format-too-new` where a newer Granary laid
 *   the destination out; `bucket-missing` and the store's other errors as they are
 */
export async function readMarker(store: Store, { signal }: CallOptions): Promise<Marker | null> {
  try {
    const { bytes } = await readSmall(store, markerKey, markerKind, { signal });
    // The schema is the type: src/model/generated/marker.ts is made of it.
    return decodeDocument(bytes, markerKind, `${markerKey} at ${store.url}`) as Marker;
  } catch (error) {
    if (isGranaryError(error, 'object-missing')) return null;
    throw error;
  }
}

/**
 * The marker of a destination, made where there is none. Of several that make it at once all get the same one: the
 * loser of the race reads what the winner wrote. On a store without conditional writes the last of them wins, and a
 * later call says so.
 * @param now goes into a new marker
 */
export async function ensureMarker(store: Store, now: Date, { signal }: CallOptions): Promise<Marker> {
  const present = await readMarker(store, { signal });
  if (present !== null) return present;
  const marker: Marker = { format: 1, id: randomUUID(), created: now.toISOString() };
  const bytes = new TextEncoder().encode(`${JSON.stringify(marker, null, 2)}\n`);
  try {
    await store.put(markerKey, bytes, { createOnly: store.capabilities.conditionalWrites, signal });
  } catch (error) {
    if (!isGranaryError(error, 'precondition-failed')) throw error;
  }
  const written = await readMarker(store, { signal });
  if (written !== null) return written;
  throw new GranaryError('store-failed', `${markerKey} was written to ${store.url} and is not there`, {
    hint: 'the store does not keep its word, or somebody removed it; `granary check` tries it',
  });
}
