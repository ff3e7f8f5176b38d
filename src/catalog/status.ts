/** `status.json`: the last word of whoever works for a seed, kept in each of its destinations (design section 3). */
import { isGranaryError } from '../model/errors.ts';
import type { DestinationReadiness, Status } from '../model/generated/status.ts';
import type { CallOptions, Store } from '../store/store.ts';
import { type DocumentKind, decodeDocument, readSmall, requireValid, unreadable } from './document.ts';
import { buildKey } from './keys.ts';

export type { DestinationReadiness, Status };

const statusKind: DocumentKind = {
  schema: 'status',
  formatField: 'formatVersion',
  format: 1,
  code: 'manifest-invalid',
  hint: 'nothing depends on it: remove that object, and the agent writes it anew',
  limit: 4 * 1024 * 1024,
};

/**
 * The status of a seed as one of its destinations has it; null where there is none.
 * @throws GranaryError `manifest-invalid`, `format-too-new`, and what the store throws
 */
export async function readStatus(
  store: Store,
  seed: string,
  { signal }: CallOptions,
): Promise<Status | null> {
  const key = buildKey({ type: 'status', seed });
  try {
    const { bytes } = await readSmall(store, key, statusKind, { signal });
    // The schema is the type: src/model/generated/status.ts is made of it.
    const status = decodeDocument(bytes, statusKind, key) as Status;
    if (status.seed !== seed) throw unreadable(statusKind, key, `it is of seed ${status.seed}`);
    return status;
  } catch (error) {
    if (isGranaryError(error, 'object-missing')) return null;
    throw error;
  }
}

/** Replaces the status of a seed: the last word counts, so no condition is asked for. */
export async function writeStatus(store: Store, status: Status, { signal }: CallOptions): Promise<void> {
  const key = buildKey({ type: 'status', seed: status.seed });
  requireValid(status, statusKind, key);
  await store.put(key, new TextEncoder().encode(`${JSON.stringify(status, null, 2)}\n`), { signal });
}
