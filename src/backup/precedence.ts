/** What a run is told of other replicas that may work on the same slots. */

/** What whoever runs it knows of the others. */
export interface Precedence {
  /** This replica, in its claims. */
  readonly holder: string;
  /** Nobody else works on this cluster, as far as a lease or the lack of others can tell. It may end at any moment. */
  readonly holds: () => boolean;
  /** Somebody may be at it all the same who cannot be seen: slots are claimed, too. */
  readonly claims: () => boolean;
}
