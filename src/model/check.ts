/** What trying out a destination or a cluster comes to, step by step. */

/** `warn`: it works, and somebody should know something about it. */
export type CheckVerdict = 'ok' | 'warn' | 'fail';

export interface CheckStep {
  readonly name: string;
  readonly verdict: CheckVerdict;
  /** What was found, or what went wrong; null where there is nothing to say. */
  readonly detail: string | null;
  /** What to do about it; null where nothing is wrong. */
  readonly hint: string | null;
}

export interface CheckResult {
  readonly kind: 'destination' | 'cluster';
  /** Of the Destination, or `seed/cluster`. */
  readonly name: string;
  /** What it is, in words: `s3 etcd-new in eu-central-1`. */
  readonly what: string;
  /** In the order in which they were tried. */
  readonly steps: readonly CheckStep[];
}

export function passed(name: string, detail: string | null = null): CheckStep {
  return { name, verdict: 'ok', detail, hint: null };
}

export function warned(name: string, detail: string, hint: string | null): CheckStep {
  return { name, verdict: 'warn', detail, hint };
}

export function failed(name: string, detail: string, hint: string | null): CheckStep {
  return { name, verdict: 'fail', detail, hint };
}

/** How many steps failed. */
export function failures({ steps }: CheckResult): number {
  return steps.filter(({ verdict }) => verdict === 'fail').length;
}

/** Nothing of it works: something failed, and no step went well. */
export function isDead(result: CheckResult): boolean {
  return failures(result) > 0 && result.steps.every(({ verdict }) => verdict !== 'ok');
}
