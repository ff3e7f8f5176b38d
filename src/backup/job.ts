/** What a run is asked to do. */
import type { EtcdTarget } from '../etcd/target.ts';
import type { HashKvMode, MemberPreference, ReadBackMode } from '../model/config.ts';
import type { GranaryError } from '../model/errors.ts';
import type { DestinationInventory, SlotRef } from '../model/inventory.ts';
import type { ArtifactOptions } from './artifact.ts';
import type { OpenDestination } from './destination.ts';
import type { OnProgress } from './events.ts';
import type { Precedence } from './precedence.ts';

/** A run that took longer never publishes: its data may already count as left over and be swept (after 24 h). */
export const maxRunMs = 12 * 3_600_000;

/** Everything that one run needs to know. */
export interface BackupJob extends ArtifactOptions {
  readonly slot: SlotRef;
  readonly target: EtcdTarget;
  /** In the policy's order. */
  readonly destinations: readonly OpenDestination[];
  /** Destinations of the policy that could not be opened: their copies have failed already. */
  readonly unopened: readonly { readonly name: string; readonly error: GranaryError }[];
  readonly minimumCopies: number;
  readonly member: { readonly prefer: MemberPreference; readonly maxLag: number };
  readonly verify: { readonly hashKV: HashKvMode; readonly readBack: ReadBackMode };
  readonly stallTimeoutMs: number;
  readonly maxDatabaseSize: number;
  /** Of the configuration; null where it is not in Git. */
  readonly commit: string | null;
  readonly agentVersion: string;
  /** For backups on demand: when it goes, or `forever`; null for scheduled ones, whose rules decide. */
  readonly keepUntil: Date | 'forever' | null;
  /** Only copies what one of the destinations holds: a slot of the past is never fulfilled by a snapshot of today. */
  readonly copyOnly: boolean;
  /** What is known of other replicas; null: nothing, as for a command that somebody gave. */
  readonly precedence: Precedence | null;
  /** What was listed a moment ago of the destinations, to find the backup before this one; null: it is listed. */
  readonly listed: readonly DestinationInventory[] | null;
  readonly spoolFolder?: string | undefined;
}

export interface RunOptions {
  readonly signal: AbortSignal;
  readonly onProgress?: OnProgress | undefined;
}
