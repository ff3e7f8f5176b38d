/** From what the agent knows after each step to looks: what is wrong, and what is over. Pure. */
import type { ResultError } from '../../backup/result.ts';
import type { ActionResult } from '../../execute/action.ts';
import type { SeedPlan } from '../../execute/plan.ts';
import { type ErrorCode, errorCatalogue } from '../../model/errors.ts';
import type { Action, Forecast, Guard } from '../../model/generated/plan.ts';
import type { Copy } from '../../model/inventory.ts';
import { slotTime } from '../../model/names.ts';
import { formatCount, formatTime } from '../../model/units.ts';
import { isProvenBad } from '../../plan/retention.ts';
import type { Condition, Finding, Look, Origin, Trouble } from './conditions.ts';

const nobody = { cluster: null, policy: null, destination: null, slot: null, commit: null };

/** What says that data, in a cluster or at rest, is not what it should be. */
const corruptions: readonly ErrorCode[] = [
  'hash-mismatch',
  'snapshot-corrupt',
  'artifact-damaged',
  'backup-damaged',
  'manifest-invalid',
];

/** A source that could not be read for this long is told, even if it may pass by itself. */
const longestUnreadMs = 15 * 60_000;

/**
 * @param error why it could not be read; null where it could
 * @param unreadMs time since it was last read
 */
export function lookAtSource(error: ResultError | null, unreadMs: number): Look {
  if (error === null) return overIfFrom('source', null, 'it was read again');
  if (isPassing(error.code) && unreadMs < longestUnreadMs)
    return { seed: null, found: [], endOf: () => null };
  const message = `the configuration could not be read, and the last good one goes on: ${error.message}`;
  return {
    ...overIfFrom('source', null, ''),
    found: [failure('source', 'source', { ...error, message }, {})],
  };
}

/** @param commit that of the newest configuration, whether it can be used or not */
export function lookAtConfiguration(seed: string, invalid: ResultError | null, commit: string | null): Look {
  const look = overIfFrom('configuration', seed, 'a valid configuration is in use');
  if (invalid === null) return look;
  const message = `the configuration is refused, and the last good one goes on: ${invalid.message}`;
  const finding = failure('configuration', 'configuration', { ...invalid, message }, { commit });
  return { ...look, found: [{ ...finding, mayPass: false }] };
}

export function lookAtFailedPass(seed: string, error: ResultError, commit: string | null): Look {
  const message = `nothing could be planned: ${error.message}`;
  return { seed, found: [failure('pass', 'pass', { ...error, message }, { commit })], endOf: () => null };
}

/** @param error why what was applied could not be written down; null where it could */
export function lookAtRecord(seed: string, error: ResultError | null, commit: string | null): Look {
  const look = overIfFrom('record', seed, 'it is written down');
  if (error === null) return look;
  const message = `what was applied could not be written down: ${error.message}`;
  return { ...look, found: [failure('record', 'record', { ...error, message }, { commit })] };
}

/** What became of an action. One that was blocked or interrupted tells nothing. */
export function lookAtRun(result: ActionResult, commit: string | null): Look {
  const { action, outcome } = result;
  const { seed, cluster, policy, slot, destination } = action;
  if (outcome === 'done') {
    const end = action.type === 'backup' ? 'backed up again' : 'done now';
    return {
      seed,
      found: [],
      endOf: (known) => {
        if (known.origin !== 'run' || !known.key.endsWith(` ${subjectOf(action)}`)) return null;
        return action.type === 'backup' || action.type === 'drill' || known.slot === slot ? end : null;
      },
    };
  }
  const error =
    result.error ?? result.backup?.copies.find((copy) => copy.error !== null)?.error ?? unexplained(outcome);
  const found: Finding[] = [];
  if (outcome !== 'blocked' && error.code !== 'interrupted') {
    const type: Trouble = corruptions.includes(error.code) ? 'corruption' : 'failure';
    const about = { type, cluster, policy, destination, slot, commit };
    const words = outcome === 'incomplete' ? incompleteWords(action) : `${action.type} failed`;
    const message = `${words}: ${error.message}`;
    found.push(failure('run', `${type} ${subjectOf(action)}`, { ...error, message }, about));
  }
  return { seed, found, endOf: () => null };
}

function incompleteWords({ type }: Action): string {
  return type === 'drill' ? 'no drill, the backup was only read back and is sound' : 'too few copies';
}

/** What a plan says is wrong; and a plan was made, so passes work. */
export function lookAtPlan(planned: SeedPlan): Look {
  const { seed, plan, inventory } = planned;
  const { commit } = plan;
  // Told as `stale`.
  const guards = plan.guards.filter(({ code }) => code !== 'cluster-late');
  return {
    seed,
    found: [
      ...badCopies(planned),
      ...plan.forecast.filter(({ late }) => late).map((forecast) => stale(forecast, commit)),
      ...guards.map((guard) => held(guard, planned)),
    ],
    endOf: (known) => {
      const { origin, type, cluster, policy, destination } = known;
      if (origin === 'pass') return 'it is planned again';
      if (origin === 'run') return endOfRun(known, planned);
      if (origin !== 'plan') return null;
      const isUnread = inventory.destinations.some(
        ({ name, status }) => name === destination && status === 'unknown',
      );
      if (isFreeze(known.code))
        return inventory.destinations.some(({ status }) => status === 'unknown') ? null : 'removals go on';
      if (type !== 'stale')
        return isUnread ? null : type === 'guard' ? 'nothing is held back' : 'no longer so';
      const forecast = plan.forecast.find((one) => one.cluster === cluster && one.policy === policy);
      if (forecast === undefined) return 'it is not to be backed up any more';
      return forecast.complete ? `in time again, ${newestWords(forecast)}` : null;
    },
  };
}

/** Whether what a run could not do is done, or is not asked for any more. */
function endOfRun({ key, cluster, policy, destination, slot }: Condition, planned: SeedPlan): string | null {
  const { plan, desired, inventory } = planned;
  if (destination === null && !isOfDrill(key)) {
    const wanted = desired.assignments.some(
      (one) => one.cluster.name === cluster && one.policy.name === policy && one.skipped === null,
    );
    if (!wanted) return 'it is not to be backed up any more';
    const newest = plan.forecast.find((one) => one.cluster === cluster && one.policy === policy)?.newest;
    return newest != null && slot !== null && newest >= slot ? 'backed up again' : null;
  }
  const isUnread = inventory.destinations.some(
    ({ name, status }) => name === destination && status === 'unknown',
  );
  const isLeft = plan.actions.some(
    (one) => (one.slot === slot || one.type === 'drill') && key.endsWith(` ${subjectOf(one)}`),
  );
  return isLeft || isUnread ? null : 'nothing of it is left to do';
}

/** Its subject is about no one destination, and no newer backup ends it: the next plan has it still, or not. */
function isOfDrill(key: string): boolean {
  return / drill [^ ]+$/.test(key);
}

/** Copies whose newest proof of some kind is bad, by cluster, policy and destination. */
function badCopies({ seed, plan, inventory }: SeedPlan): Finding[] {
  return inventory.destinations.flatMap((destination) => {
    if (destination.status === 'unknown') return [];
    const bad = destination.copies.filter((copy) => copy.seed === seed && isProvenBad(copy));
    const groups = Map.groupBy(bad, ({ cluster, policy }) => `${cluster}/${policy}`);
    return [...groups].map(([group, copies]): Finding => {
      const [{ cluster, policy }, example] = [copies[0] as Copy, copies.at(-1) as Copy];
      const count = `${formatCount(copies.length)} ${copies.length === 1 ? 'copy' : 'copies'}`;
      return {
        ...{ type: 'corruption', origin: 'plan', key: `bad-proof ${group}@${destination.name}` },
        ...{ cluster, policy, destination: destination.name, slot: example.slot },
        code: 'bad-proof',
        message: `${count} of ${seed}/${group} on ${destination.name} proved not to be sound, such as ${example.slot}`,
        hint: '`granary verify --repair` copies a sound copy over it where there is one',
        commit: plan.commit,
        mayPass: false,
      };
    });
  });
}

function stale(forecast: Forecast, commit: string | null): Finding {
  const { seed, cluster, policy } = forecast;
  return {
    ...{ type: 'stale', origin: 'plan', key: `late ${cluster}/${policy}` },
    ...{ cluster, policy, destination: null, slot: null },
    code: 'late',
    message: `${seed}/${cluster} is late under policy ${policy}: its last two slots are unfulfilled, ${newestWords(forecast)}`,
    hint: `\`granary check ${seed}/${cluster}\` says what is wrong`,
    commit,
    mayPass: false,
  };
}

function held(
  { code, message, hint, cluster, destination, object }: Guard,
  { plan, inventory }: SeedPlan,
): Finding {
  const about = object === null ? '' : ` ${object.kind}/${object.name}`;
  const unread = inventory.destinations.find((one) => one.name === destination && one.status === 'unknown');
  return {
    // What freezes a cluster speaks of its data, and not of the plan.
    ...{ type: isFreeze(code) ? 'corruption' : 'guard', origin: 'plan' },
    ...{ key: `guard ${code} ${cluster ?? ''}@${destination ?? ''}${about}` },
    ...{ cluster, policy: null, destination, slot: null, code, message, hint, commit: plan.commit },
    // A store that did not answer once is no news yet.
    mayPass: code === 'destination-unknown' && unread?.status === 'unknown' && isPassing(unread.code),
  };
}

/** It holds wherever the object lies that says so: it may lie where nobody could look. */
function isFreeze(code: string): boolean {
  return code === 'frozen-divergence' || code === 'frozen-regression';
}

function newestWords({ newest }: Forecast): string {
  const time = newest === null ? undefined : slotTime(newest);
  return time === undefined ? 'there is no backup' : `the newest backup is of ${formatTime(time)}`;
}

function failure(
  origin: Origin,
  key: string,
  { code, message, hint }: ResultError,
  about: Partial<Finding>,
): Finding {
  return {
    ...{ type: 'failure', origin, key, ...nobody },
    ...{ code, message, hint, mayPass: isPassing(code) },
    ...about,
  };
}

function overIfFrom(origin: Origin, seed: string | null, why: string): Look {
  return { seed, found: [], endOf: (known) => (known.origin === origin ? why : null) };
}

function isPassing(code: ErrorCode): boolean {
  return errorCatalogue[code] === 'retry';
}

/** A backup's slot moves on while what keeps it from succeeding stays. */
function subjectOf({ type, cluster, policy, destination }: Action): string {
  return `${type} ${cluster}/${policy}${destination === null ? '' : `@${destination}`}`;
}

function unexplained(outcome: string): ResultError {
  return { code: 'internal', message: `the outcome is ${outcome}, and nothing says why`, hint: null };
}
