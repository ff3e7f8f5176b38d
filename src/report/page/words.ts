/** Words and small pieces that the parts of the page share. */
import type { AgentStatus, PolicyStatus, StatusProof } from '../../model/generated/agent-status.ts';
import { formatAge, formatDuration, formatTime } from '../../model/units.ts';
import { counted } from '../plan-words.ts';
import { type Html, html } from './html.ts';
import { byWorst, needsSomebody, type Row, type RowState } from './rows.ts';

export const stateWords: Readonly<Record<RowState, string>> = {
  none: 'no backup',
  late: 'late',
  damaged: 'damaged copy',
  frozen: 'frozen',
  failed: 'last run failed',
  incomplete: 'copy missing',
  unknown: 'not known',
  starting: 'first backup',
  suspended: 'suspended',
  safe: 'safe',
};

export type Tone = 'good' | 'bad' | 'warn' | 'calm';

export function toneOf(state: RowState): Tone {
  if (state === 'safe') return 'good';
  if (state === 'suspended' || state === 'starting') return 'calm';
  return state === 'incomplete' || state === 'unknown' ? 'warn' : 'bad';
}

/** `18 minutes ago`, or `in 42 minutes`: the script of the page goes on counting. */
export function moment(time: string | null, now: Date, absent = 'never'): Html {
  if (time === null) return html`<span class="dim">${absent}</span>`;
  const date = new Date(time);
  return html`<time datetime="${time}" title="${formatTime(date)}" data-age>${relative(date, now)}</time>`;
}

/** The same with the moment itself below. */
export function momentInFull(time: string | null, now: Date, absent = 'never'): Html {
  if (time === null) return moment(time, now, absent);
  return html`${moment(time, now)} <span class="abs">${formatTime(new Date(time))}</span>`;
}

export function relative(time: Date, now: Date): string {
  const ago = now.getTime() - time.getTime();
  return ago >= 0 ? formatAge(ago) : `in ${formatDuration(-ago)}`;
}

export function lossText({ worstLossSeconds, backup, complete }: PolicyStatus): string {
  if (worstLossSeconds !== null) return formatDuration(worstLossSeconds * 1_000);
  return backup === null && complete ? 'everything' : 'not known';
}

export const proofKinds = [
  ['drill', 'drill'],
  ['read', 'read back'],
  ['hashkv', 'hash'],
] as const;

/** The newest proof of any kind. */
export function lastProof({
  proofs,
}: PolicyStatus): { readonly kind: string; readonly proof: StatusProof } | null {
  let newest: { readonly kind: string; readonly proof: StatusProof } | null = null;
  for (const [name, kind] of proofKinds) {
    const proof = proofs[name];
    if (proof !== null && (newest === null || proof.time > newest.proof.time)) newest = { kind, proof };
  }
  return newest;
}

export interface Verdict {
  readonly tone: Tone;
  readonly headline: string;
  /** Why, one line each, worst first. */
  readonly reasons: readonly string[];
  readonly leftOut: number;
  /** A command to run now; null: there is nothing to do. */
  readonly next: string | null;
}

/** Reasons that are told at the top; the table has them all. */
const mostReasons = 4;

/** The answer: is my data safe, and what do I do now? */
export function verdictOf(status: AgentStatus, rows: readonly Row[]): Verdict {
  const waiting = status.seeds.filter(({ plan }) => plan === null).map(({ name }) => name);
  const uncovered = status.seeds.flatMap(({ name, clusters }) =>
    clusters.filter((one) => one.uncovered !== null).map((one) => `${name}/${one.name}`),
  );
  const troubled = rows.filter(({ state }) => needsSomebody(state)).sort(byWorst);
  const clusters = new Set(rows.map(({ name }) => name)).size;
  const needing = new Set(troubled.map(({ name }) => name)).size;
  const starting = new Set(rows.filter(({ state }) => state === 'starting').map(({ name }) => name)).size;
  const [worst] = troubled;
  const reasons = troubled.map((row) => `${row.name} (${row.policy.policy}): ${reasonOf(row)}`);
  const rest = { reasons: reasons.slice(0, mostReasons), leftOut: Math.max(0, reasons.length - mostReasons) };
  if (worst !== undefined) {
    const headline = `${needing} of ${counted(clusters, 'cluster')} ${needing === 1 ? 'needs' : 'need'} you`;
    return { tone: toneOf(worst.state), headline, ...rest, next: commandFor(worst) };
  }
  if (status.problem !== null || status.seeds.length === 0) {
    const reason = status.problem ?? status.source.error;
    const headline = reason === null ? 'Reading the configuration' : 'There is no configuration to work with';
    return { tone: reason === null ? 'calm' : 'bad', headline, reasons: [], leftOut: 0, next: null };
  }
  if (waiting.length > 0) {
    const headline = `Looking at ${waiting.length === 1 ? `seed ${waiting[0]}` : counted(waiting.length, 'seed')} for the first time`;
    return { tone: 'calm', headline, ...rest, next: null };
  }
  if (clusters === 0) {
    const headline = uncovered.length === 0 ? 'There is no cluster to back up' : 'Nothing is backed up';
    return { tone: uncovered.length === 0 ? 'calm' : 'bad', headline, ...rest, next: 'granary validate' };
  }
  if (starting > 0) {
    const headline = `The first backup of ${counted(starting, 'cluster')} is on its way`;
    return { tone: 'calm', headline, ...rest, next: null };
  }
  const headline =
    clusters === 1 ? 'The one cluster is safe' : `All ${counted(clusters, 'cluster')} are safe`;
  return { tone: 'good', headline, ...rest, next: null };
}

/** Why a row needs somebody, in words. */
export function reasonOf({ state, policy }: Row): string {
  const { lastError } = policy;
  const why = lastError === null ? '' : `: ${lastError.message}`;
  switch (state) {
    case 'none':
      return `there is no backup yet${why}`;
    case 'late':
      return `its last two slots are unfulfilled${why}`;
    case 'damaged':
      return `${counted(policy.badCopies, 'copy', 'copies')} proved not to be sound`;
    case 'frozen':
      return 'what it holds is in doubt, so nothing of it is removed; the guards below say why';
    case 'failed':
      return `the last ${lastError?.action ?? 'run'} failed${why}`;
    case 'incomplete':
      return `the newest backup is missing on ${policy.backup?.missingCopies.join(', ') ?? 'a destination'}`;
    case 'unknown':
      return 'a destination could not be read, so nobody knows what is there';
    case 'starting':
      return 'its first backup is on its way';
    case 'suspended':
      return 'its policy is suspended';
    case 'safe':
      return 'nothing is wrong';
  }
}

/** What to run about it. */
function commandFor({ name, state, policy }: Row): string {
  if (state === 'damaged') return `granary verify --repair ${name}`;
  if (state === 'incomplete') return `granary check ${policy.backup?.missingCopies[0] ?? name}`;
  if (state === 'unknown' || state === 'frozen') return `granary plan --seed ${name.split('/')[0]}`;
  return `granary check ${name}`;
}
