/** What a provider says of a bucket as a whole: what it keeps, holds, expires and moves by rules of its own. */

/** What could be read, or why it is not known: a key need not be allowed to read settings of a bucket. */
export type Known<T> = { readonly value: T } | { readonly unknown: string };

export interface PlaceFacts {
  readonly versioning: Known<'on' | 'suspended' | 'off'>;
  /** null: the bucket has no object lock. */
  readonly lock: Known<LockFacts | null>;
  /** Only rules that are on and touch objects of ours. */
  readonly lifecycle: Known<readonly LifecycleEffect[]>;
}

export interface LockFacts {
  /** What the bucket locks every object for, asked or not; null: only what asks for it. */
  readonly usual: { readonly mode: string; readonly days: number } | null;
}

export interface LifecycleEffect {
  /** As the bucket calls the rule. */
  readonly rule: string;
  /**
   * `expires`: objects are removed. `freezes`: they are moved to where they cannot be read at once. `clears`: versions
   * that were replaced or deleted are removed.
   */
  readonly effect: 'expires' | 'freezes' | 'clears';
  /** After so many; null: at a date. */
  readonly days: number | null;
}
