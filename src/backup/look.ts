/** Before a snapshot: who holds the slot already, who is at it, and what came before it. */
import { readCluster } from '../catalog/inventory.ts';
import { manifestKeyOf } from '../catalog/manifests.ts';
import { asGranaryError, type GranaryError, isGranaryError } from '../model/errors.ts';
import { answerMs, within } from '../store/patience.ts';
import type { CallOptions } from '../store/store.ts';
import { lookAtSlot, type OpenDestination, readManifestAt, type StoredManifest } from './destination.ts';
import type { BackupJob, RunOptions } from './job.ts';
import { listingIn, type Place } from './past.ts';

export interface Looked extends Place {
  readonly destination: OpenDestination;
  readonly stored: StoredManifest | null;
  /** Somebody says that he is at it. */
  readonly isClaimed: boolean;
  readonly error: GranaryError | null;
}

type Found = Pick<Looked, 'stored' | 'isClaimed' | 'listing'>;

/**
 * Looks at all destinations: one that holds the slot already makes the run a copy of it. One that does not answer is left
 * out of the run; a copy follows.
 */
export async function lookAll(job: BackupJob, { signal }: RunOptions): Promise<Looked[]> {
  return Promise.all(
    job.destinations.map(async (destination) => {
      try {
        return { destination, ...(await look(job, destination, { signal })), error: null };
      } catch (error) {
        signal.throwIfAborted();
        const failure = asGranaryError(error, 'store-failed');
        return { destination, stored: null, isClaimed: false, listing: null, error: failure };
      }
    }),
  );
}

/** What is to be listed of the whole cluster anyway tells of the slot too. Claims are of those who have replicas. */
async function look(job: BackupJob, destination: OpenDestination, { signal }: CallOptions): Promise<Found> {
  if (job.listed === null && job.precedence === null) {
    try {
      return await lookAtCluster(job, destination, { signal });
    } catch (error) {
      // A listing that cannot be trusted is the end of a comparison, not of a backup: the slot may be seen all the same.
      if (!isGranaryError(error, 'store-failed')) throw error;
    }
  }
  const { store, name } = destination;
  const found = await within(answerMs, signal, (limited) => lookAtSlot(store, job.slot, { signal: limited }));
  return { ...found, listing: listingIn(job.listed, name, job.slot) };
}

async function lookAtCluster(
  { slot }: BackupJob,
  destination: OpenDestination,
  { signal }: CallOptions,
): Promise<Found> {
  return within(answerMs, signal, async (limited, answered) => {
    const { store } = destination;
    const listing = await readCluster(destination, slot, { signal: limited, onListed: answered });
    const copy = listing.copies.find((one) => one.policy === slot.policy && one.slot === slot.slot);
    answered();
    const stored =
      copy === undefined ? null : await readManifestAt(store, manifestKeyOf(copy), { signal: limited });
    return { stored, isClaimed: false, listing };
  });
}
