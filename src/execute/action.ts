/** One action of a plan: what it is run with, and what came of it. */
import type { OnProgress } from '../backup/events.ts';
import type { Precedence } from '../backup/precedence.ts';
import type { BackupResult, ResultError } from '../backup/result.ts';
import type { Action } from '../model/generated/plan.ts';
import type { ClusterRef } from '../model/names.ts';
import type { DrillResult } from './drill.ts';

export interface ActionResult {
  readonly action: Action;
  /**
   * `blocked`: what was found on the spot speaks against it; a later pass looks again. `locked`: object lock holds what
   * is to be removed, as it was told to; a pass after that removes it.
   */
  readonly outcome: 'done' | 'incomplete' | 'blocked' | 'locked' | 'failed';
  /** Of a backup or copy. */
  readonly backup: BackupResult | null;
  /** Of a drill that was begun. */
  readonly drill?: DrillResult | undefined;
  /**
   * With `done`: what must be heard of, though the backup is published (`members-differ`, `backup-regressed`); or a drill
   * was made, and what was restored is not what was backed up (`drill-failed`). With `incomplete` of a drill: why no etcd
   * was started, so that the backup was only read back.
   */
  readonly error: ResultError | null;
}

/** What drills are made with on this machine. */
export interface DrillPlace {
  /** Path of the etcd; default: the one on the PATH. */
  readonly etcd?: string | undefined;
  /** The folder for what they need; default: the system's temporary one. */
  readonly scratch?: string | undefined;
}

export interface ActionOptions {
  readonly signal: AbortSignal;
  readonly spoolFolder?: string | undefined;
  /** What is known of other replicas; absent: nothing. */
  readonly precedence?: Precedence | undefined;
  /** Asked before anything of a cluster is removed; throws where that must not be. */
  readonly requireAnswer?: ((cluster: ClusterRef) => void) | undefined;
  readonly onStart?: ((action: Action) => OnProgress) | undefined;
  readonly drills?: DrillPlace | undefined;
}
