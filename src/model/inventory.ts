/** The actual state: what really lies in the destinations, read by listing. Free of secrets. */
import type { ErrorCode } from './errors.ts';
import type { Attempt, Slot } from './names.ts';

export interface Inventory<C extends PlannedCopy = Copy> {
  readonly formatVersion: 1;
  /** RFC 3339. */
  readonly takenAt: string;
  readonly destinations: readonly DestinationInventory<C>[];
}

/**
 * What one destination holds. Only a destination that was read wholly has lists at all: of one that was not, nothing
 * may be concluded, least of all that it is empty.
 */
export type DestinationInventory<C extends PlannedCopy = Copy> = ReadDestination<C> | UnknownDestination;

/** It could not be read, or not wholly. */
export interface UnknownDestination {
  readonly name: string;
  /** `s3://bucket/prefix` or `file:///path`. */
  readonly url: string;
  readonly status: 'unknown';
  /** Why, in words, with the code and the hint of the failure behind it. */
  readonly reason: string;
  readonly code: ErrorCode;
  readonly hint: string | null;
}

export interface ReadDestination<C extends PlannedCopy = Copy> {
  readonly name: string;
  /** `s3://bucket/prefix` or `file:///path`. */
  readonly url: string;
  readonly status: 'read';
  /** The id in `granary.json`; null where there is no marker yet. */
  readonly markerId: string | null;
  /** In the order of their keys: of one policy of one cluster by slot, ascending. */
  readonly copies: readonly C[];
  /** Data objects whose slot has no manifest: a run that is under way, or was cut off. */
  readonly unfinished: readonly UnfinishedData[];
  /** Slots without a manifest that hold something beside data: a claimed run, or what a removal left behind. */
  readonly remnants: readonly SlotRemnant[];
  readonly leases: readonly Lease[];
  readonly freezes: readonly Freeze[];
  readonly acceptances: readonly Acceptance[];
  /** Number of objects below `clusters/` that fit no part of the layout. */
  readonly foreign: number;
}

/** A slot of one policy for one cluster: what a backup is of, wherever its copies lie. */
export interface SlotRef {
  readonly seed: string;
  readonly cluster: string;
  readonly policy: string;
  readonly slot: Slot;
}

/** A backup as one destination holds it: its manifest is there. As much of it as a plan is made from. */
export interface PlannedCopy extends SlotRef {
  /** Attempts that left data or a manifest in the slot beside the copy's own; all of them where that is not known. */
  readonly otherAttempts: readonly Attempt[];
  /** Bytes of the data object of its attempt; null where it is missing or the attempt is not known. */
  readonly storedBytes: number | null;
  /** When the store says the manifest was written, RFC 3339. */
  readonly published: string;
  /** RFC 3339, or `forever`: the latest pin. */
  readonly pinnedUntil: string | null;
  /** RFC 3339: when a backup on demand goes. The latest, where there are several. */
  readonly expires: string | null;
  readonly tombstone: Tombstone | null;
  /** The newest of each kind, by kind. Of two from the same second the bad one counts. */
  readonly proofs: readonly ProofSummary[];
}

/** All that a listing shows of it. */
export interface Copy extends PlannedCopy {
  /**
   * The attempt whose data lie there. null where names alone do not tell: no data object lies beside the manifest, or
   * several do. The manifest has the last word in any case.
   */
  readonly attempt: Attempt | null;
  /** The manifest is `manifest-<attempt>.json`, as on stores without conditional writes, and not `manifest.json`. */
  readonly fallback: boolean;
  readonly manifestEtag: string;
}

/** The one that counts in a slot: the first written among those not settled, else the first written. */
export interface Tombstone {
  /** When the backup goes, RFC 3339. */
  readonly due: string;
  /** A ULID. */
  readonly id: string;
  /** When the store says it was written, RFC 3339. */
  readonly written: string;
  /**
   * A verdict lies beside it: the remover or `undelete` has won. `undelete` pins first, so a settled tombstone of a
   * backup without a pin means that its removal is under way.
   */
  readonly settled: boolean;
}

export type ProofKind = 'hashkv' | 'read' | 'drill';

export interface ProofSummary {
  readonly kind: ProofKind;
  readonly ok: boolean;
  /** RFC 3339. */
  readonly time: string;
}

export interface UnfinishedData extends SlotRef {
  readonly attempt: Attempt;
  readonly bytes: number;
  /** RFC 3339. */
  readonly modified: string;
}

export interface SlotRemnant extends SlotRef {
  /** When the store says that the claim was written, RFC 3339; null where there is none. */
  readonly claimed: string | null;
  readonly tombstone: Tombstone | null;
  /** Number of pins, expiries, proofs and verdicts there. */
  readonly others: number;
}

/** A restore or verification that is running: removal waits for it. */
export interface Lease {
  readonly seed: string;
  readonly cluster: string;
  /** `restore`, `verify`; a word that a newer Granary may have brought counts as well. */
  readonly kind: string;
  /** A ULID. */
  readonly id: string;
  /** When the store says it was last written, RFC 3339. */
  readonly modified: string;
}

/** Something was found about a cluster that stops all removals of its backups until somebody has looked at it. */
export interface Freeze {
  readonly seed: string;
  readonly cluster: string;
  /** A `FreezeKind`; a word that a newer Granary may have brought counts as well. */
  readonly kind: string;
  /** The attempt that found it. */
  readonly id: Attempt;
}

/** Somebody has said that a cluster is as it should be. */
export interface Acceptance {
  readonly seed: string;
  readonly cluster: string;
  /** Freezes and marked backups up to this attempt are accepted. */
  readonly through: Attempt;
}
