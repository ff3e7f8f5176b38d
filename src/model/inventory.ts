/** The actual state: what really lies in the destinations, read by listing. Free of secrets. */
import type { Attempt, Slot } from './names.ts';

export interface Inventory {
  readonly formatVersion: 1;
  /** RFC 3339. */
  readonly takenAt: string;
  readonly destinations: readonly DestinationInventory[];
}

export interface DestinationInventory {
  readonly name: string;
  /** `s3://bucket/prefix` or `file:///path`. */
  readonly url: string;
  /** `unknown`: it could not be read, or not wholly; `reason` says why, and nothing may be concluded from it. */
  readonly status: 'read' | 'unknown';
  readonly reason: string | null;
  /** The id in `granary.json`; null where there is no marker yet. */
  readonly markerId: string | null;
  readonly copies: readonly Copy[];
  /** Data objects whose slot has no manifest: a run that is under way, or was cut off. */
  readonly unfinished: readonly UnfinishedData[];
  /** Objects that fit no part of the layout. */
  readonly foreign: number;
}

/** A backup as one destination holds it: its manifest is there. */
export interface Copy {
  readonly seed: string;
  readonly cluster: string;
  readonly policy: string;
  readonly slot: Slot;
  /** null where names alone do not tell which of several data objects the manifest means. */
  readonly attempt: Attempt | null;
  /** Bytes of the data object; null where it is missing. */
  readonly storedBytes: number | null;
  /** When the store says the manifest was written, RFC 3339. */
  readonly published: string;
  readonly manifestEtag: string;
  /** RFC 3339, or `forever`: the latest pin. */
  readonly pinnedUntil: string | null;
  /** RFC 3339: when a backup on demand goes. */
  readonly expires: string | null;
  /** The first that was written; null where there is none. `due` is RFC 3339. */
  readonly tombstone: { readonly due: string; readonly id: string } | null;
  /** The newest of each kind. `time` is RFC 3339. */
  readonly proofs: readonly { readonly kind: ProofKind; readonly ok: boolean; readonly time: string }[];
}

export type ProofKind = 'hashkv' | 'read' | 'drill';

export interface UnfinishedData {
  readonly seed: string;
  readonly cluster: string;
  readonly policy: string;
  readonly slot: Slot;
  readonly attempt: Attempt;
  readonly bytes: number;
  /** RFC 3339. */
  readonly modified: string;
}
