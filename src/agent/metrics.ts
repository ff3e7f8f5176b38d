/**
 * What Prometheus reads. Gauges are taken from the state when they are asked for, so nothing stays of what the
 * configuration no longer names. Labels hold only names from the configuration and words of ours: an error's text never
 * becomes one.
 */
import { tmpdir } from 'node:os';
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { diskSpace } from '../backup/spool.ts';
import type { DestinationReadiness } from '../catalog/status.ts';
import type { ActionResult } from '../execute/action.ts';
import { packageVersion } from '../execute/version.ts';
import type { NotificationType } from '../model/config.ts';
import type { Plan } from '../model/generated/plan.ts';
import { isRemoval } from '../plan/actions.ts';
import type { OverviewRow } from '../plan/overview.ts';
import { runnableActions } from '../plan/plan.ts';
import { outcomeOf } from './report.ts';
import type { AgentState, SeedState } from './state.ts';

export interface Metrics {
  readonly registry: Registry;
  /** Counts what became of an action. */
  ended(result: ActionResult): void;
  /** Counts a pass over a seed. */
  passed(seed: string, ok: boolean): void;
  /** Counts a stored copy that was read back. @param ok it is what was written */
  scrubbed(seed: string, destination: string, ok: boolean, bytes: number): void;
  /** Counts a notification that was taken, or was not after all tries. */
  notified(type: NotificationType, ok: boolean): void;
}

type Labels = Readonly<Record<string, string>>;
interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** @param spoolFolder where snapshots lie for a moment; default: the system's temporary folder */
export function makeMetrics(state: AgentState, now: () => Date, spoolFolder: string = tmpdir()): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string, labelNames: readonly string[], samples: () => Sample[]) => {
    const one: Gauge = new Gauge({
      name: `granary_${name}`,
      help,
      labelNames: [...labelNames],
      registers: [registry],
      collect: () => {
        one.reset();
        for (const { labels, value } of samples()) one.set(labels, value);
      },
    });
  };
  const seeds = () => [...state.seeds.values()];
  const perSeed = (name: string, help: string, value: (seed: SeedState) => number | null) =>
    gauge(name, help, ['seed'], () => seeds().flatMap((seed) => sample({ seed: seed.seed }, value(seed))));
  const perPolicy = (name: string, help: string, value: (one: OnePolicy) => number | null) =>
    gauge(name, help, ['seed', 'cluster', 'policy'], () =>
      seeds().flatMap((seed) =>
        policiesOf(seed).flatMap((one) =>
          sample({ seed: seed.seed, cluster: one.cluster, policy: one.policy }, value(one)),
        ),
      ),
    );
  const single = (name: string, help: string, value: () => number) =>
    gauge(name, help, [], () => [{ labels: {}, value: value() }]);

  gauge('build_info', 'Always 1; the version is in the label.', ['version'], () => [
    { labels: { version: packageVersion() }, value: 1 },
  ]);
  gauge('replica_info', 'Always 1; the label says which replica this is.', ['replica'], () => [
    { labels: { replica: state.replica }, value: 1 },
  ]);
  perSeed('replicas', 'Replicas that share the work, as far as this one knows.', ({ share }) =>
    share.mode === 'coordinated' ? share.replicas.length : null,
  );
  perSeed('coordinated', 'Whether the lease in the coordination etcd holds.', ({ share }) =>
    share.mode === 'alone' ? null : Number(share.mode === 'coordinated'),
  );
  perSeed('leader', 'Whether this replica does what is the seed’s as a whole.', ({ share }) =>
    Number(share.leads),
  );
  perSeed('owned_clusters', 'Clusters that this replica works on.', ({ plan, share }) =>
    plan === null ? null : ownedClusters(plan, share),
  );
  // Zero and not nothing: an alert on its age is to fire for a source that was never read.
  single(
    'source_last_fetch_timestamp_seconds',
    'When the configuration was last read; 0: never.',
    () => seconds(state.source.lastFetch) ?? 0,
  );
  single('source_ok', 'Whether the last try to read the configuration went well.', () =>
    Number(state.source.error === null),
  );
  perSeed('config_valid', 'Whether the newest configuration is valid for the seed.', ({ invalid, inUse }) =>
    Number(invalid === null && inUse),
  );
  perSeed('config_in_use', 'Whether the seed has a valid configuration, be it an older one.', ({ inUse }) =>
    Number(inUse),
  );
  perSeed('last_pass_timestamp_seconds', 'When the seed was last planned for.', ({ lastPass }) =>
    seconds(lastPass),
  );
  perSeed('last_pass_duration_seconds', 'How long reading the destinations and planning took.', (seed) =>
    seed.lastPass === null ? null : seed.lastPassMs / 1_000,
  );
  perSeed('running_clusters', 'Clusters whose actions run now.', ({ running }) => running);
  perSeed('waiting_clusters', 'Clusters whose actions wait for a free place.', ({ waiting }) => waiting);
  perSeed('blocked_removals', 'Removals that guards hold back.', ({ plan, share }) =>
    plan === null || !share.leads ? null : blockedRemovals(plan),
  );
  perSeed('late_clusters', 'Clusters whose last two slots are unfulfilled.', ({ plan, share }) =>
    plan === null || !share.leads
      ? null
      : new Set(plan.forecast.filter(({ late }) => late).map(({ cluster }) => cluster)).size,
  );
  for (const [name, help, read] of destinationGauges) {
    gauge(name, help, ['seed', 'destination'], () =>
      seeds().flatMap(({ seed, destinations }) =>
        Object.entries(destinations).map(([destination, found]) => ({
          labels: { seed, destination },
          value: read(found),
        })),
      ),
    );
  }
  gauge(
    'guards',
    'Guards that hold now, by code, and by destination where they are about one.',
    ['seed', 'code', 'destination'],
    () =>
      seeds().flatMap(({ seed, plan, share }) => {
        const guards = (share.leads ? plan?.guards : null) ?? [];
        const groups = Map.groupBy(guards, ({ code, destination }) => `${code}@${destination ?? ''}`);
        return [...groups.values()].flatMap(([first, ...others]) => {
          if (first === undefined) return [];
          const { code, destination } = first;
          return [
            {
              labels: { seed, code, ...(destination !== null && { destination }) },
              value: 1 + others.length,
            },
          ];
        });
      }),
  );
  perPolicy('last_success_timestamp_seconds', 'When the newest backup was published.', ({ success }) =>
    seconds(success),
  );
  perPolicy('backup_age_seconds', 'Time since the newest backup was published.', ({ success }) =>
    success === null ? null : Math.max(0, (now().getTime() - success.getTime()) / 1_000),
  );
  perPolicy('drill_due', 'Whether a drill is due.', ({ nextDrill }) =>
    nextDrill === null ? null : Number(Date.parse(nextDrill) <= now().getTime()),
  );
  perPolicy('late', 'Whether the last two slots are unfulfilled.', ({ late }) => Number(late));
  perPolicy('backups', 'Backups there are, copies not counted twice.', ({ backups }) => backups);
  perPolicy('backups_stored_bytes', 'Stored bytes of all copies of all backups.', ({ bytes }) => bytes);
  perPolicy('last_duration_seconds', 'How long the last run took that ended well.', ({ run }) =>
    run === undefined ? null : run.durationMs / 1_000,
  );
  perPolicy('snapshot_bytes', 'Size of the last snapshot.', ({ run }) => run?.snapshotBytes ?? null);
  perPolicy(
    'stored_bytes',
    'Bytes of the last snapshot as one destination stores it.',
    ({ run }) => run?.storedBytes ?? null,
  );

  gauge(
    'last_proof_timestamp_seconds',
    'When a backup last passed a check, by kind: hashkv, read, drill.',
    ['seed', 'cluster', 'policy', 'kind'],
    () =>
      seeds().flatMap((seed) =>
        policiesOf(seed).flatMap(({ cluster, policy, row }) =>
          Object.entries(row?.passed ?? {}).flatMap(([kind, time]) =>
            sample(
              { seed: seed.seed, cluster, policy, kind },
              time === null ? null : Date.parse(time) / 1_000,
            ),
          ),
        ),
      ),
  );
  perPolicy('damaged_copies', 'Copies whose newest check failed.', ({ row }) => row?.badCopies ?? 0);
  gauge(
    'certificate_expiry_timestamp_seconds',
    'When the first certificate ends that a cluster is reached with: client, member.',
    ['seed', 'cluster', 'certificate'],
    () =>
      seeds().flatMap(({ seed, certificates }) =>
        [...certificates].flatMap(([cluster, { client, member }]) => [
          ...sample({ seed, cluster, certificate: 'client' }, seconds(client)),
          ...sample({ seed, cluster, certificate: 'member' }, seconds(member)),
        ]),
      ),
  );
  addSpool(registry, spoolFolder);

  const runs = counter(registry, 'runs_total', 'Runs of backups and copies.', [
    'seed',
    'cluster',
    'policy',
    'outcome',
  ]);
  const drills = counter(registry, 'drills_total', 'Backups restored into an etcd for a trial.', [
    'seed',
    'cluster',
    'policy',
    'outcome',
  ]);
  const copies = counter(registry, 'copies_total', 'Copies by destination, as runs left them.', [
    'seed',
    'destination',
    'outcome',
  ]);
  const removals = counter(registry, 'removals_total', 'Tombstones and deletions.', [
    'seed',
    'destination',
    'type',
    'outcome',
  ]);
  const passes = counter(registry, 'passes_total', 'Passes over a seed.', ['seed', 'outcome']);
  const scrubs = counter(registry, 'scrubs_total', 'Stored copies that the agent read back.', [
    'seed',
    'destination',
    'outcome',
  ]);
  const scrubbedBytes = counter(registry, 'scrubbed_bytes_total', 'Stored bytes that the agent read back.', [
    'seed',
    'destination',
  ]);
  const notifications = counter(registry, 'notifications_total', 'Notifications that were sent, or failed.', [
    'type',
    'result',
  ]);
  return {
    registry,
    ended: ({ action, outcome, backup, drill }) => {
      const { seed, cluster, policy } = action;
      if (isRemoval(action)) {
        removals.inc({ seed, destination: action.destination, type: action.type, outcome });
        return;
      }
      if (action.type === 'drill')
        drills.inc({ seed, cluster, policy, outcome: drill === undefined ? 'failed' : outcomeOf(drill) });
      if (action.type !== 'backup' && action.type !== 'copy') return;
      runs.inc({ seed, cluster, policy, outcome: backup?.outcome ?? 'failed' });
      for (const copy of backup?.copies ?? []) {
        copies.inc({ seed, destination: copy.destination, outcome: copy.outcome });
      }
    },
    passed: (seed, ok) => passes.inc({ seed, outcome: ok ? 'done' : 'failed' }),
    scrubbed: (seed, destination, ok, bytes) => {
      scrubs.inc({ seed, destination, outcome: ok ? 'sound' : 'failed' });
      scrubbedBytes.inc({ seed, destination }, bytes);
    },
    notified: (type, ok) => notifications.inc({ type, result: ok ? 'sent' : 'failed' }),
  };
}

const destinationGauges: readonly [string, string, (found: DestinationReadiness) => number][] = [
  ['destination_ready', 'Whether all that a probe tries works.', ({ ready }) => Number(ready)],
  [
    'destination_probed_timestamp_seconds',
    'When it was last probed.',
    ({ probedAt }) => Date.parse(probedAt) / 1_000,
  ],
];

function counter(registry: Registry, name: string, help: string, labelNames: readonly string[]): Counter {
  return new Counter({ name: `granary_${name}`, help, labelNames: [...labelNames], registers: [registry] });
}

/** The disk that snapshots lie on for a moment. One that cannot be asked has no sample. */
function addSpool(registry: Registry, folder: string): void {
  const add = (name: string, help: string, read: 'free' | 'size') => {
    const one: Gauge = new Gauge({
      name: `granary_${name}`,
      help,
      registers: [registry],
      collect: async () => {
        // Set to zero by its constructor.
        one.remove();
        const space = await diskSpace(folder).catch(() => null);
        if (space !== null) one.set(space[read]);
      },
    });
  };
  add('spool_free_bytes', 'Free bytes of the disk that snapshots lie on for a moment.', 'free');
  add('spool_size_bytes', 'Size of that disk.', 'size');
}

/** What is known of one cluster under one policy. */
type OnePolicy = Plan['forecast'][number] & {
  readonly success: Date | null;
  /** null where the policy does not back it up now. */
  readonly row: OverviewRow | null;
  readonly run: SeedState['lastRun'] extends Map<string, infer Run> ? Run | undefined : never;
};

/** Of the clusters that this replica works on: each is told of by one. */
function policiesOf({ plan, overview, lastSuccess, lastRun, share }: SeedState): OnePolicy[] {
  const rows = new Map(overview?.rows.map((row) => [`${row.cluster}/${row.policy}`, row]));
  const own = (plan?.forecast ?? []).filter(({ cluster }) => share.isMine(cluster));
  return own.map((forecast) => {
    const key = `${forecast.cluster}/${forecast.policy}`;
    return {
      ...forecast,
      success: lastSuccess.get(key) ?? null,
      run: lastRun.get(key),
      row: rows.get(key) ?? null,
    };
  });
}

/** A value that is not known has no sample: zero would be a lie. */
function sample(labels: Labels, value: number | null): Sample[] {
  return value === null ? [] : [{ labels, value }];
}

function seconds(time: Date | null): number | null {
  return time === null ? null : time.getTime() / 1_000;
}

function ownedClusters({ forecast }: Plan, { isMine }: SeedState['share']): number {
  return new Set(forecast.map(({ cluster }) => cluster).filter(isMine)).size;
}

function blockedRemovals(plan: Plan): number {
  const free = new Set(runnableActions(plan).map(({ id }) => id));
  return plan.actions.filter((action) => isRemoval(action) && !free.has(action.id)).length;
}
