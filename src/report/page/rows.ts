/** The rows of the fleet: which there are, in which order, and which of them are asked for. Pure. */
import type {
  AgentStatus,
  ClusterStatus,
  PolicyStatus,
  SeedReport,
} from '../../model/generated/agent-status.ts';

export type SortOrder = 'worst' | 'name' | 'age' | 'loss' | 'next';
export const sortOrders: readonly SortOrder[] = ['worst', 'name', 'age', 'loss', 'next'];

/** What a reader asks for, in the address of the page. */
export interface Query {
  /** Words that must all occur in seed, cluster, policy or state. */
  readonly words: string;
  readonly sort: SortOrder;
  /** All rows, and not the first hundred only. */
  readonly all: boolean;
}

export interface Row {
  readonly seed: SeedReport;
  readonly cluster: ClusterStatus;
  readonly policy: PolicyStatus;
  /** `eu-west/prod-a`. */
  readonly name: string;
  readonly state: RowState;
}

/** `starting`: there is no backup yet, and the first is under way. */
export type RowState = PolicyStatus['state'] | 'starting';

const longestWords = 200;
const severity: readonly RowState[] = [
  'none',
  'late',
  'damaged',
  'frozen',
  'failed',
  'incomplete',
  'unknown',
  'starting',
  'suspended',
  'safe',
];

/** Of any query string: what makes no sense is as if it were not there. */
export function parseQuery(query: Readonly<Record<string, unknown>>): Query {
  const { q, sort, show } = query;
  return {
    words: typeof q === 'string' ? q.slice(0, longestWords).trim() : '',
    sort: sortOrders.find((one) => one === sort) ?? 'worst',
    all: show === 'all',
  };
}

/** The address of the page for a query. */
export function addressOf({ words, sort, all }: Query): string {
  const parts = new URLSearchParams();
  if (words !== '') parts.set('q', words);
  if (sort !== 'worst') parts.set('sort', sort);
  if (all) parts.set('show', 'all');
  return parts.size === 0 ? '/' : `/?${parts}`;
}

export function rowsOf(status: AgentStatus): Row[] {
  return status.seeds.flatMap((seed) =>
    seed.clusters.flatMap((cluster) =>
      cluster.policies.map((policy) => ({
        ...{ seed, cluster, policy, name: `${seed.name}/${cluster.name}` },
        state: stateOf(cluster, policy),
      })),
    ),
  );
}

function stateOf({ activity }: ClusterStatus, { state, lastError }: PolicyStatus): RowState {
  return state === 'none' && activity !== 'idle' && lastError === null ? 'starting' : state;
}

/** Whether somebody should look at it. */
export function needsSomebody(state: RowState): boolean {
  return state !== 'safe' && state !== 'suspended' && state !== 'starting';
}

export function chosen(rows: readonly Row[], { words, sort }: Query): Row[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const found = rows.filter(({ name, policy, state }) => {
    const text = `${name} ${policy.policy} ${state}`.toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
  const byName = (a: Row, b: Row) =>
    `${a.name} ${a.policy.policy}` < `${b.name} ${b.policy.policy}` ? -1 : 1;
  return found.sort((a, b) => orderOf[sort](a, b) || byName(a, b));
}

/** Worst first; where it has no answer, the names decide. */
export function byWorst(a: Row, b: Row): number {
  return severity.indexOf(a.state) - severity.indexOf(b.state) || descending(lossOf(a), lossOf(b));
}

const orderOf: Readonly<Record<SortOrder, (a: Row, b: Row) => number>> = {
  worst: byWorst,
  name: () => 0,
  age: (a, b) => descending(a.policy.backup?.ageSeconds ?? null, b.policy.backup?.ageSeconds ?? null),
  loss: (a, b) => descending(lossOf(a), lossOf(b)),
  next: (a, b) => -descending(momentOf(a), momentOf(b)),
};

function lossOf({ policy }: Row): number | null {
  return policy.worstLossSeconds;
}

function momentOf({ policy }: Row): number {
  return policy.nextRun === null ? Number.MAX_SAFE_INTEGER : Date.parse(policy.nextRun);
}

/** The largest first; what is not known before that. */
function descending(a: number | null, b: number | null): number {
  const [one, other] = [a ?? Number.MAX_SAFE_INTEGER, b ?? Number.MAX_SAFE_INTEGER];
  return other - one;
}
