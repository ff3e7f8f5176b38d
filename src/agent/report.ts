/** What became of an action, as one line of the log with all its figures, and what its events say on the way. */
import type { OnProgress } from '../backup/events.ts';
import type { BackupResult } from '../backup/result.ts';
import type { ActionResult } from '../execute/action.ts';
import type { DrillResult } from '../execute/drill.ts';
import type { Action, Plan } from '../model/generated/plan.ts';
import type { Log } from './log.ts';

/** Gathers what a run tells while it goes on, so that its line can say it at the end. */
export class RunNotes {
  readonly #now: () => number;
  readonly #began: number;
  #member: string | null = null;
  #why: string | null = null;
  #keys: number | null = null;
  readonly #moments = new Map<string, number>();
  readonly #warnings: string[] = [];

  /** @param now a monotonic clock, in milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#began = now();
  }

  readonly onProgress: OnProgress = (event) => {
    this.#moments.set(event.type, this.#now());
    if (event.type === 'member') [this.#member, this.#why] = [event.endpoint, event.why];
    if (event.type === 'proved') this.#keys = event.keys;
    if (event.type === 'warning') this.#warnings.push(event.message);
  };

  get durationMs(): number {
    return this.#now() - this.#began;
  }

  /** Fields of the line; the phases overlap, as the upload goes on while the snapshot comes. */
  fields(): Record<string, unknown> {
    const took = (from: string, to: string) => {
      const [start, end] = [this.#moments.get(from), this.#moments.get(to)];
      return start === undefined || end === undefined ? undefined : Math.round(end - start);
    };
    return {
      durationMs: Math.round(this.durationMs),
      snapshotMs: took('member', 'snapshot'),
      proofMs: took('snapshot', 'proved'),
      storeMs: took('member', 'stored'),
      publishMs: took('stored', 'published'),
      ...(this.#member === null ? {} : { member: this.#member, why: this.#why }),
      ...(this.#keys === null ? {} : { keys: this.#keys }),
      ...(this.#warnings.length === 0 ? {} : { warnings: this.#warnings }),
    };
  }
}

const messages: Record<Action['type'], Record<ActionResult['outcome'], string>> = {
  backup: {
    done: 'backup done',
    incomplete: 'backup incomplete',
    blocked: 'backup blocked',
    locked: 'backup locked',
    failed: 'backup failed',
  },
  copy: {
    done: 'copy done',
    incomplete: 'copy incomplete',
    blocked: 'copy blocked',
    locked: 'copy locked',
    failed: 'copy failed',
  },
  undelete: {
    done: 'tombstone withdrawn',
    incomplete: 'withdrawal failed',
    blocked: 'withdrawal blocked',
    locked: 'withdrawal waits for the end of a lock',
    failed: 'withdrawal failed',
  },
  tombstone: {
    done: 'tombstone written',
    incomplete: 'tombstone failed',
    blocked: 'tombstone blocked',
    locked: 'tombstone waits for the end of a lock',
    failed: 'tombstone failed',
  },
  delete: {
    done: 'backup removed',
    incomplete: 'removal failed',
    blocked: 'removal blocked',
    locked: 'removal waits for the end of a lock',
    failed: 'removal failed',
  },
  sweep: {
    done: 'leftovers swept',
    incomplete: 'sweep failed',
    blocked: 'sweep blocked',
    locked: 'sweep waits for the end of a lock',
    failed: 'sweep failed',
  },
  drill: {
    done: 'drill done',
    incomplete: 'drill incomplete',
    blocked: 'drill blocked',
    locked: 'drill waits for the end of a lock',
    failed: 'drill failed',
  },
};
const levels = {
  done: 'info',
  incomplete: 'warn',
  blocked: 'warn',
  locked: 'info',
  failed: 'error',
} as const;

/**
 * @param log that of the seed, which names it
 * @param commit of the configuration that it was done for
 */
export function logResult(log: Log, result: ActionResult, notes: RunNotes, commit: string | null): void {
  const { action, outcome, backup, drill, error } = result;
  const { cluster, policy, slot, reason } = action;
  log[outcome === 'done' && error !== null ? 'error' : levels[outcome]](
    {
      cluster,
      policy,
      slot,
      ...(action.destination === null ? {} : { destination: action.destination }),
      reason,
      outcome: backup?.outcome ?? (drill === undefined ? outcome : outcomeOf(drill)),
      ...(backup === null ? {} : backupFields(backup)),
      ...(drill === undefined ? {} : drillFields(drill)),
      ...notes.fields(),
      commit,
      ...(error === null ? {} : { error }),
    },
    messages[action.type][outcome],
  );
}

function backupFields({ attempt, revision, snapshotBytes, storedBytes, hashKV, copies }: BackupResult) {
  return {
    attempt,
    revision,
    snapshotBytes,
    storedBytes,
    hashKV: hashKV?.verdict ?? null,
    copies: copies.map(({ destination, outcome, error }) => ({
      destination,
      outcome,
      ...(error === null ? {} : { code: error.code, reason: error.message }),
    })),
  };
}

function drillFields({ destination, method, etcdVersion, revision, keys, sampledKeys, leases }: DrillResult) {
  return { destination, method, etcdVersion, revision, keys, sampledKeys, leases };
}

/** In one word: `read` where no etcd was started, and all that our own reader can show is well. */
export function outcomeOf({ outcome, method }: DrillResult): DrillResult['outcome'] | 'read' {
  return outcome === 'ok' && method === 'native' ? 'read' : outcome;
}

/** Tells guards and warnings of a plan when they come, not with every pass. */
export class PlanNotes {
  #told = new Set<string>();

  tell(log: Log, { guards, warnings }: Plan): void {
    const now = new Set<string>();
    const tell = (key: string, say: () => void) => {
      now.add(key);
      if (!this.#told.has(key)) say();
    };
    for (const { code, message, hint, cluster, destination, object, blocks } of guards) {
      // The message counts what is blocked, and so is another one each time.
      tell(`guard ${code} ${cluster} ${destination} ${object?.kind} ${object?.name}`, () =>
        log.warn(
          { code, cluster, destination, blocked: blocks.length, reason: message, hint },
          'guard holds',
        ),
      );
    }
    for (const { code, message, hint } of warnings) {
      tell(`warning ${code} ${message}`, () => log.warn({ code, reason: message, hint }, 'plan warning'));
    }
    this.#told = now;
  }
}
