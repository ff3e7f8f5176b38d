/** How long the objects of a backup are locked, in a store that locks (design section 9). */
import type { PutOptions, Store } from '../store/store.ts';
import { maxRunMs } from './job.ts';

/** When a backup is to go, as far as that is fixed when it is made; null: its rules decide later. */
export type KeepUntil = Date | 'forever' | null;

const dayMs = 86_400_000;

/**
 * The lock of a data object or manifest that is written now: until the later of the destination's `days` and a fixed
 * end that the backup itself has; `forever` is a wish that may be taken back. How long the rules keep it is added by
 * whoever knows them (`src/execute/lock.ts`).
 *
 * The manifest is written up to twelve hours after the upload of its data began. Data are locked for that much longer,
 * so that there is no time at which a manifest is locked and its data are not.
 * @returns nothing where the store locks nothing
 */
export function lockOf(
  { capabilities: { lockDays } }: Pick<Store, 'capabilities'>,
  what: 'data' | 'manifest',
  keepUntil: KeepUntil,
  now: Date = new Date(),
): Pick<PutOptions, 'retainUntil'> {
  if (lockDays === undefined) return {};
  const fixed = keepUntil instanceof Date ? keepUntil.getTime() : 0;
  const end = Math.max(now.getTime() + lockDays * dayMs, fixed) + (what === 'data' ? maxRunMs : 0);
  // S3 keeps whole seconds.
  return { retainUntil: new Date(Math.ceil(end / 1_000) * 1_000) };
}
