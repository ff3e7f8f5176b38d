/** What is not backed up, and why: warnings, so that locking a leaked key always applies. */
import type { Assignment, Cluster } from '../../model/config.ts';
import { childPointer } from '../pointer.ts';
import { byName } from '../resolve.ts';
import { quoted } from '../words.ts';
import type { Rule, RuleContext, SourcedSeed } from './context.ts';

export const skippedIsSaid: Rule = ({ seeds, destinations, credentials, policies, report }) => {
  const skipped = (message: string, hint: string | null = null) =>
    ({ code: 'skipped', severity: 'warning', message, hint }) as const;
  for (const { object, source } of seeds) {
    if (!object.enabled) {
      const message = `seed ${quoted(object.name)} is disabled: nothing of it is backed up or removed`;
      report(source, '/spec/enabled', skipped(message));
    }
    object.clusters.forEach((cluster, index) => {
      if (cluster.enabled || !object.enabled) return;
      const message = `cluster ${quoted(cluster.name)} is disabled: nothing of it is backed up or removed`;
      report(source, childPointer('/spec/clusters', index, 'enabled'), skipped(message));
    });
  }
  for (const { object, source } of destinations) {
    if (!object.locked) continue;
    const message = `destination ${quoted(object.name)} is locked: no new backups, no removals; restore works`;
    report(source, '/spec/locked', skipped(message));
  }
  for (const { object, source } of credentials) {
    if (!object.locked) continue;
    const users = destinations.filter((one) => one.object.credential === object.name);
    const names = users.map((one) => quoted(one.object.name)).join(', ');
    const message = `credential ${quoted(object.name)} is locked${names === '' ? '' : `: no new backups on ${names}, and no removals`}`;
    report(source, '/spec/locked', skipped(message));
  }
  for (const { object, source } of policies) {
    if (!object.suspend) continue;
    report(source, '/spec/suspend', skipped(`policy ${quoted(object.name)} is suspended: it runs nowhere`));
  }
};

/** An enabled cluster of which no backup is made. */
export const backupIsOn: Rule = (context) => {
  const byCluster = groupByCluster(context.assignments);
  for (const seed of context.seeds) {
    const { object } = seed;
    if (!object.enabled) continue;
    const enabled = object.clusters
      .map((cluster, index) => ({ cluster, index }))
      .filter(({ cluster }) => cluster.enabled);
    const off = enabled.flatMap(({ cluster, index }) => {
      const why = whyOff(context, seed, byCluster.get(cluster) ?? []);
      return why === null ? [] : [{ cluster, index, why }];
    });
    const first = off[0];
    if (first === undefined) continue;
    if (off.length === enabled.length && off.every(({ why }) => why === first.why)) {
      report(context, seed, '/spec', object.name, first.why);
      continue;
    }
    for (const { cluster, index, why } of off) {
      report(context, seed, childPointer('/spec/clusters', index), `${object.name}/${cluster.name}`, why);
    }
  }
};

function report(context: RuleContext, seed: SourcedSeed, pointer: string, what: string, why: string): void {
  context.report(seed.source, pointer, {
    code: 'backup-off',
    severity: 'warning',
    place: 'key',
    message: `backup is off for ${what}: ${why}`,
    hint: 'see the `clusters` of the policies, and `destinations` or `defaultDestination`',
  });
}

/** null where backups are made, or where another diagnostic has already said why not. */
function whyOff(context: RuleContext, seed: SourcedSeed, assignments: readonly Assignment[]): string | null {
  if (assignments.some(({ skipped }) => skipped === null)) return null;
  // What a faulty policy or destination would have said is not known.
  if (context.sources.some(({ kind, faulty }) => faulty && (kind === 'Policy' || kind === 'Destination'))) {
    return null;
  }
  if (assignments.length === 0) return 'no policy matches';
  const active = assignments.filter(({ policy }) => !policy.suspend);
  const [first] = active;
  if (first === undefined) return 'every policy that matches is suspended';
  const defined = byName(context.destinations.map(({ object }) => object));
  const namesNothing = active.every(({ leftOut }) => leftOut.length === 0);
  if (namesNothing) {
    return `policy ${quoted(first.policy.name)} names no destination, and seed ${quoted(seed.object.name)} has no \`defaultDestination\``;
  }
  // Missing ones and those that do not serve the seed are errors of their own.
  const left = active.flatMap(({ leftOut }) => leftOut);
  if (left.some(({ reason }) => !reason.endsWith('is locked'))) return null;
  const locked = [...new Set(left.map(({ name }) => name))].filter((name) => defined.has(name));
  return `all its destinations are locked (${locked.join(', ')})`;
}

function groupByCluster(assignments: readonly Assignment[]): Map<Cluster, Assignment[]> {
  const groups = new Map<Cluster, Assignment[]>();
  for (const assignment of assignments) {
    const group = groups.get(assignment.cluster);
    if (group === undefined) groups.set(assignment.cluster, [assignment]);
    else group.push(assignment);
  }
  return groups;
}

export const policiesMatchSomething: Rule = (context) => {
  const used = new Set(context.assignments.map(({ policy }) => policy));
  // Which clusters a faulty seed has is not known.
  if (context.sources.some(({ kind, faulty }) => kind === 'Seed' && faulty)) return;
  for (const { object, source } of context.policies) {
    const { seeds, names } = object.clusters;
    const isKnown = (seeds ?? []).every((name) => context.defined.Seed.has(name)) && names === null;
    if (used.has(object) || !isKnown) continue;
    context.report(source, '/spec/clusters', {
      code: 'policy-without-clusters',
      severity: 'warning',
      place: 'key',
      message: `policy ${quoted(object.name)} matches no cluster`,
      hint: 'all given parts of `clusters` must match the same cluster',
    });
  }
};
