/** What an agent knows of fleets of any size, made by the plan itself, with troubles of every kind in some clusters. */
import { type AgentState, newAgentState, newSeedState, notePlan } from '../../../src/agent/state.ts';
import type { Copy, ProofSummary } from '../../../src/model/inventory.ts';
import type { CommitId } from '../../../src/model/names.ts';
import { overviewOf } from '../../../src/plan/overview.ts';
import { makePlan } from '../../../src/plan/plan.ts';
import {
  clusterOf,
  copyOf,
  day,
  desiredOf,
  destinationOf,
  hour,
  inventoryOf,
  keepOf,
  now,
  options,
  policyOf,
  read,
  seedOf,
  slot,
} from '../../plan/fixtures.ts';

export interface FleetOptions {
  /** False: all of it is well. */
  readonly troubled?: boolean;
  /** Put into every text that can come from outside. */
  readonly text?: string;
}

const latest = new Date('2026-11-21T14:00:00Z').getTime();

/** @param count clusters of seed `eu`, under an hourly policy, stored in two places */
export function fleetState(count: number, { troubled = true, text = '' }: FleetOptions = {}): AgentState {
  const names = Array.from({ length: count }, (_, index) => `prod-${String(index + 1).padStart(3, '0')}`);
  const destinations = [destinationOf('eu-minio'), destinationOf('eu-s3')];
  const keep = keepOf({ last: 96, daily: 30 });
  const desired = desiredOf({
    seeds: [
      seedOf(
        'eu',
        names.map((name) => clusterOf(name)),
      ),
    ],
    destinations,
    policies: [policyOf('hourly', { keep })],
    commit: 'a'.repeat(40),
  });
  const copies = (name: string, index: number, isSecond: boolean) => {
    const kind = troubled ? index : -1;
    if (kind === 3) return [];
    const own = history(name).filter((copy) => kind !== 0 || copy.slot < slot('2026-11-21T05:30:00Z'));
    const whole = kind === 2 && isSecond ? own.slice(0, -1) : own;
    return kind === 1 && isSecond ? damaged(whole) : whole;
  };
  const inventory = inventoryOf(
    ...destinations.map(({ name }, place) =>
      read(name, [
        ...names.flatMap((cluster, index) => copies(cluster, index, place === 1)),
        ...(place === 0 ? names.slice(0, 1).map(onDemand) : []),
      ]),
    ),
  );
  const state = newAgentState(new Date(latest - 9 * day));
  const seed = newSeedState('eu');
  state.seeds.set('eu', seed);
  state.source.lastFetch = new Date(now.getTime() - 20_000);
  const plan = makePlan(desired, { inventory, applied: null }, now, options);
  notePlan(seed, plan, overviewOf(desired, 'eu', inventory, now), now, 12);
  Object.assign(seed, {
    inUse: true,
    commit: 'a'.repeat(40),
  });
  seed.revision = {
    id: 'a'.repeat(40) as CommitId,
    subject: `Keep daily backups for a month${text}`,
    author: `Ops${text} <ops@acme.example>`,
    date: '2026-11-20T16:12:00+01:00',
    dirty: false,
  };
  seed.places = destinations.map(({ name }) => ({ name, url: `s3://${name}/etcd${text}`, locked: false }));
  const probe = {
    ...{ probedAt: '2026-11-21T13:42:00Z', fingerprint: 'f'.repeat(64), usable: true },
    former: false,
  };
  const problem = {
    step: 'delete',
    message: `access denied: s3:DeleteObject is missing${text}`,
    hint: `\`granary check eu-s3 --iam\` prints the least policy${text}`,
  };
  seed.destinations = {
    'eu-minio': { ...probe, ready: true, conditionalWrites: true, problem: null },
    'eu-s3': { ...probe, ready: !troubled, conditionalWrites: true, problem: troubled ? problem : null },
  };
  if (!troubled) return state;
  seed.lastError.set('prod-001/hourly', {
    code: 'etcd-auth',
    message: `etcd refused the user "backup" at https://10.0.0.1:2379${text}`,
    hint: `credential etcd-prod-001 holds this user${text}`,
    time: new Date(now.getTime() - 4 * 60_000),
    action: 'backup',
  });
  seed.invalid = {
    code: 'config-invalid',
    message: `the configuration has an error: policies/hourly.yaml:6:3: unknown field \`kepe\`${text}`,
    hint: 'did you mean `keep`?',
  };
  return state;
}

/** Hourly for four days, daily before that, for four weeks: what the rules keep. */
function history(cluster: string): Copy[] {
  const hours = Array.from({ length: 96 }, (_, index) => latest - (95 - index) * hour);
  const midnight = Date.UTC(2026, 10, 17);
  const days = Array.from({ length: 24 }, (_, index) => midnight - (23 - index) * day);
  return [...days, ...hours].map((time) => {
    const published = new Date(time + 65_000).toISOString();
    const proofs: ProofSummary[] = [{ kind: 'hashkv', ok: true, time: published }];
    if (time === latest - 10 * hour)
      proofs.push({ kind: 'drill', ok: true, time: new Date(time + hour).toISOString() });
    return copyOf(cluster, slot(new Date(time).toISOString()), {
      published,
      storedBytes: 92_274_688,
      proofs,
    });
  });
}

function onDemand(cluster: string): Copy {
  return copyOf(cluster, slot('2026-11-21T09:12:44Z'), {
    ...{ policy: 'manual', expires: '2026-12-21T09:12:50.000Z', storedBytes: 92_274_688 },
  });
}

function damaged(copies: readonly Copy[]): Copy[] {
  const bad: ProofSummary = { kind: 'read', ok: false, time: '2026-11-21T03:10:00Z' };
  return copies.map((copy, index) => (index === 20 ? { ...copy, proofs: [...copy.proofs, bad] } : copy));
}
