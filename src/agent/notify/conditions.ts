/**
 * What is wrong now, and since when. Looks at one part of the agent's work come in; each says what it found, and of what
 * was known before it says whether that is over. What a look cannot tell stays as it was: unknown is neither well nor ill.
 */
import type { NotificationEvent } from '../../model/config.ts';

export type Trouble = Exclude<NotificationEvent, 'recovery'>;

/** Which kind of look finds it. */
export type Origin = 'source' | 'configuration' | 'pass' | 'plan' | 'run' | 'record';

/** Something wrong, as one look found it. Free of secrets. */
export interface Finding {
  readonly type: Trouble;
  readonly origin: Origin;
  /** With the seed it names the same trouble in every look. */
  readonly key: string;
  readonly cluster: string | null;
  readonly policy: string | null;
  readonly destination: string | null;
  /** Slot of the action that failed; null where it is about none. */
  readonly slot: string | null;
  /** Of the error, guard or warning behind it. */
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
  /** The commit that it is about; null where there is none. */
  readonly commit: string | null;
  /** It often passes by itself, so it is told only when it is found again. */
  readonly mayPass: boolean;
}

export interface Condition extends Omit<Finding, 'mayPass'> {
  /** null: it is about the agent as a whole. */
  readonly seed: string | null;
  /** When it was found first, RFC 3339. */
  readonly since: string;
  /** False: found once, and it may pass by itself. Nobody is told yet. */
  readonly confirmed: boolean;
}

/** By `idOf`. */
export type Conditions = ReadonlyMap<string, Condition>;

export interface Look {
  /** null: the agent as a whole. Conditions of other seeds are left alone. */
  readonly seed: string | null;
  readonly found: readonly Finding[];
  /** How a condition that was not found came to its end, in words; null where it may be there still. */
  readonly endOf: (condition: Condition) => string | null;
}

export interface Ended {
  readonly condition: Condition;
  /** `backed up again`. */
  readonly why: string;
}

/** Of one seed. What is found beyond is left out: that many at once have one cause, and it is told. */
const mostConditions = 1_000;
/** Characters of a message; longer ones are cut. */
const longestMessage = 1_000;

/** Guards that hold because Git says so, for as long as it does. They are told, and are no sign that anything is wrong. */
const asked: readonly string[] = ['locked-destination', 'protected-backups'];

export function isAskedFor({ type, code }: Pick<Condition, 'type' | 'code'>): boolean {
  return type === 'guard' && asked.includes(code);
}

export function idOf({ seed, key }: Pick<Condition, 'seed' | 'key'>): string {
  return `${seed ?? ''} ${key}`;
}

/** What is known after a look, and what has ended by it. */
export function observe(
  known: Conditions,
  look: Look,
  now: Date,
): { readonly conditions: Conditions; readonly ended: readonly Ended[] } {
  const conditions = new Map(known);
  const ended: Ended[] = [];
  const found = new Set(look.found.map(({ key }) => key));
  let count = 0;
  for (const [id, condition] of known) {
    if (condition.seed !== look.seed) continue;
    const why = found.has(condition.key) ? null : look.endOf(condition);
    if (why === null) {
      count += 1;
      continue;
    }
    conditions.delete(id);
    ended.push({ condition, why });
  }
  for (const { mayPass, ...finding } of look.found) {
    const id = idOf({ seed: look.seed, key: finding.key });
    const before = conditions.get(id);
    if (before === undefined && count >= mostConditions) continue;
    if (before === undefined) count += 1;
    conditions.set(id, {
      ...finding,
      message: cut(finding.message, longestMessage),
      hint: finding.hint === null ? null : cut(finding.hint, longestMessage),
      seed: look.seed,
      since: before?.since ?? now.toISOString(),
      confirmed: before !== undefined || !mayPass,
    });
  }
  return { conditions, ended };
}

/** At most so many characters, the last of them `…` where something is missing. Never half of a surrogate pair. */
export function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  return `${text.slice(0, limit - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}
