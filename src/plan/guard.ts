/** What guards look at, and how one is made. */
import type { Desired } from '../model/config.ts';
import type { Action, Guard } from '../model/generated/plan.ts';
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
  /** Orphans that somebody named to be removed, `seed/cluster/policy`: no mistake in rules removes them. */
  readonly named: ReadonlySet<string>;
  readonly now: Date;
}

/** What a guard is about, as far as it is about one thing. */
export type Subject = Partial<Pick<Guard, 'seed' | 'cluster' | 'destination' | 'object'>>;

/** @param blocked the actions that it holds back */
export function guard(
  code: Guard['code'],
  message: string,
  hint: string,
  blocked: readonly Action[],
  subject: Subject = {},
): Guard {
  const { seed = null, cluster = null, destination = null, object = null } = subject;
  const blocks = blocked.map(({ id }) => id);
  return { code, message, hint, seed, cluster, destination, object, blocks };
}
