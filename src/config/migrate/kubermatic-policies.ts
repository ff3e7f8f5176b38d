/** EtcdBackupConfigs of Kubermatic as Policies. Each is of one cluster; equal ones become one Policy for all of them. */
import type { Attached } from './comments.ts';
import { documentText, type Field } from './emit.ts';
import type { Fields, ForeignObject } from './foreign.ts';
import { everyMinutes, type FiveFields, fiveFields, goMinutes } from './go-schedule.ts';
import type { KubermaticSeed, SeedDestination } from './kubermatic-seed.ts';
import { dnsLabel, type NewNames } from './names.ts';
import { joined, type Migration } from './result.ts';

/** The EtcdBackupConfig that Kubermatic makes for every user cluster where the Seed has a default destination. */
const defaultConfigName = 'default-backups';
/** What Kubermatic does where nobody says otherwise. */
const defaultKeep = 20;
const defaultIntervalMinutes = 20;

export interface BackupConfig {
  readonly name: string;
  /** Name of the user cluster. */
  readonly cluster: string;
  /** As written; null: one backup, at once. */
  readonly schedule: string | null;
  readonly keep: number;
  /** Key of a destination of the Seed; null: the default one. */
  readonly destination: string | null;
  readonly fields: Fields;
  readonly comments: () => Attached;
}

/** @throws GranaryError `config-invalid` with file, line and column */
export function readBackupConfig({ name, fields, comments }: ForeignObject): BackupConfig {
  const spec = fields.below('spec') ?? fields.refuse('spec', 'is missing', null);
  const cluster =
    spec.below('cluster')?.kubernetesName('name') ??
    spec.refuse('cluster', 'must name the user cluster', null);
  return {
    name: name === '' ? (spec.text('name') ?? 'backups') : name,
    cluster: dnsLabel(cluster),
    schedule: spec.text('schedule'),
    keep: spec.count('keep') ?? defaultKeep,
    destination: spec.text('destination'),
    fields: spec,
    comments: () => ({ above: comments.takeRest(fields.path), behind: [] }),
  };
}

interface Rules {
  readonly schedule: string;
  readonly five: FiveFields;
  readonly keep: number;
  readonly destination: SeedDestination;
}

interface NewPolicy extends Rules {
  /** As Kubermatic calls it. */
  readonly wanted: string;
  /** null: every cluster of the seed. */
  readonly clusters: readonly string[] | null;
  readonly comments: readonly string[];
}

/** The Policies of a Seed. `labels` are those that its clusters must carry to be chosen, by cluster. */
export function policiesOf(
  seed: KubermaticSeed,
  configs: readonly BackupConfig[],
  names: NewNames,
): { migration: Migration; labels: Map<string, string[]> } {
  const labels = new Map<string, string[]>();
  const scheduled = configs.filter(({ schedule }) => schedule !== null);
  const everybody = defaultRules(seed, scheduled);
  const groups = Map.groupBy(
    scheduled.map((config) => ({ config, rules: rulesOf(seed, config) })),
    ({ config, rules }) => `${config.name} ${rules.schedule} ${rules.keep} ${rules.destination.name}`,
  );
  const policies: NewPolicy[] = [];
  const covered: string[] = [];
  for (const members of groups.values()) {
    const [first] = members;
    if (first === undefined) continue;
    const comments = members.flatMap(({ config }) => config.comments().above);
    const isDefault =
      first.config.name === defaultConfigName && everybody !== null && same(first.rules, everybody);
    if (isDefault) covered.push(...comments);
    else {
      const clusters = members.map(({ config }) => config.cluster);
      policies.push({ ...first.rules, wanted: first.config.name, clusters, comments });
    }
  }
  if (everybody !== null)
    policies.unshift({ ...everybody, wanted: defaultConfigName, clusters: null, comments: covered });
  const single = configs.filter(({ schedule }) => schedule === null);
  const migration = joined([
    ...policies.map((policy) => migratePolicy(seed, policy, names, labels)),
    { files: [], notes: single.map(singleNote), steps: [] },
  ]);
  return { migration, labels };
}

/**
 * What Kubermatic does for every user cluster: the Seed says it, else its EtcdBackupConfigs of the default name where
 * they agree, else every 20 minutes and the last 20. null where the Seed has no default destination.
 */
function defaultRules(seed: KubermaticSeed, configs: readonly BackupConfig[]): Rules | null {
  const { defaultDestination: destination, settings } = seed;
  if (destination === null) return null;
  const interval = settings.text('backupInterval');
  const minutes =
    interval === null
      ? null
      : (goMinutes(interval) ?? settings.refuse('backupInterval', 'is no duration such as `20m`', null));
  const count = settings.count('backupCount');
  const own = configs.filter(({ name }) => name === defaultConfigName).map((config) => rulesOf(seed, config));
  const agreed = own.every((rules) => same(rules, own[0])) ? own[0] : undefined;
  if (agreed !== undefined && minutes === null && count === null) return { ...agreed, destination };
  const every = minutes ?? defaultIntervalMinutes;
  const schedule = `@every ${interval ?? '20m'}`;
  return {
    schedule,
    five: { ...everyMinutes(every), timeZone: null },
    keep: count ?? defaultKeep,
    destination,
  };
}

function same(a: Rules, b: Rules | undefined): boolean {
  return a.five.cron === b?.five.cron && a.keep === b.keep && a.destination === b.destination;
}

function rulesOf(seed: KubermaticSeed, { schedule, keep, destination, fields }: BackupConfig): Rules {
  const named =
    destination === null ? seed.defaultDestination : seed.destinations.find(({ key }) => key === destination);
  const known = seed.destinations.map(({ key }) => key).join(', ');
  const place =
    named ??
    fields.refuse('destination', `is none of the Seed ${seed.name}`, `its destinations are ${known}`);
  const five =
    fiveFields(schedule ?? '') ??
    fields.refuse('schedule', 'is no schedule that Kubermatic would take', null);
  return { schedule: schedule ?? '', five, keep, destination: place };
}

function migratePolicy(
  seed: KubermaticSeed,
  policy: NewPolicy,
  names: NewNames,
  labels: Map<string, string[]>,
): Migration {
  const { five, keep, destination, clusters, comments, schedule } = policy;
  const name = names.take('Policy', policy.wanted, seed.name);
  for (const cluster of clusters ?? []) labels.set(cluster, [...(labels.get(cluster) ?? []), name]);
  const note =
    clusters === null
      ? undefined
      : `In Kubermatic: ${clusters.join(', ')}. Label these clusters in seeds/${seed.name}.yaml.`;
  const chosen: Field[] = [
    { key: 'seeds', value: [seed.name] },
    ...(clusters === null ? [] : [{ key: 'matchLabels', value: [{ key: name, value: 'true' }], note }]),
  ];
  const inexact = five.exact
    ? undefined
    : `Kubermatic: ${schedule}. Cron cannot say that; this is the next that runs more often.`;
  const times: Field[] = [
    { key: 'cron', value: five.cron, note: inexact },
    ...(five.timeZone === null ? [] : [{ key: 'timeZone', value: five.timeZone }]),
  ];
  const spec: Field[] = [
    { key: 'clusters', value: chosen },
    { key: 'schedule', value: times },
    ...(destination === seed.defaultDestination ? [] : [{ key: 'destinations', value: [destination.name] }]),
    { key: 'keep', value: [{ key: 'last', value: keep }] },
  ];
  const path = `policies/${name}.yaml`;
  const steps = five.exact
    ? []
    : [
        `look at the schedule in ${path}: \`${schedule}\` became \`${five.cron}\`, which runs more often, so that the last ${keep} cover less time`,
      ];
  return {
    files: [{ path, before: null, after: documentText({ kind: 'Policy', name, spec, head: comments }) }],
    notes: [],
    steps,
  };
}

function singleNote({ name, cluster }: BackupConfig): string {
  return `${name} of ${cluster} has no schedule: it is one backup that Kubermatic has made; \`granary backup SEED/CLUSTER\` makes such a one`;
}

/** The lines of a cluster that make these policies choose it. */
export function clusterLabels(policies: readonly string[]): string[] {
  return policies.length === 0 ? [] : [`labels: {${policies.map((name) => `${name}: "true"`).join(', ')}}`];
}
