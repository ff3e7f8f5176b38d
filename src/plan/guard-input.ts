import type { Desired } from '../model/config.ts';
import type { Action } from '../model/generated/plan.ts';
import type { Actual } from '../model/state.ts';
import type { Holdings } from './holdings.ts';
import type { View } from './view.ts';

/** All that guards look at. */
export interface GuardInput {
  readonly desired: Desired;
  readonly actual: Actual;
  readonly holdings: Holdings;
  readonly views: readonly View[];
  readonly actions: readonly Action[];
  /** The plan's digest was approved: guards against mistakes do not hold, those that protect do. */
  readonly approved: boolean;
  readonly now: Date;
}
