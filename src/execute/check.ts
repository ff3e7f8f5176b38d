/** Trying out what a configuration names: destinations with a small object of their own, clusters by asking each member. */
import type { CheckResult } from '../model/check.ts';
import type { Cluster, Destination, Seed } from '../model/config.ts';
import { GranaryError } from '../model/errors.ts';
import { type ClusterRef, parseClusterRef } from '../model/names.ts';
import type { CallOptions } from '../store/store.ts';
import { checkCluster } from './check-cluster.ts';
import { checkDestination } from './check-destination.ts';
import type { Workspace } from './workspace.ts';

export interface CheckOptions extends CallOptions {
  /** A destination, or `seed/cluster`. Default: everything. */
  readonly name?: string | undefined;
  /** Only what this seed has and uses; the probe's object then lies below it. */
  readonly seed?: string | undefined;
}

type Check = () => Promise<CheckResult>;

/** Places that are tried at a time: most of the time goes into waiting for those that do not answer. */
const concurrency = 8;

/**
 * Checks one place or all, and gives the results in the order of the configuration, destinations first. What does not
 * work is in the results.
 * @throws GranaryError `unknown-object`, `usage`; the signal's reason
 */
export async function* checkPlaces(
  workspace: Workspace,
  options: CheckOptions,
): AsyncGenerator<CheckResult, void, undefined> {
  const checks = options.name === undefined ? allOf(workspace, options) : [oneOf(workspace, options)];
  yield* inOrder(checks);
}

function oneOf(workspace: Workspace, options: CheckOptions): Check {
  const { name = '' } = options;
  if (name.includes('/')) {
    const ref = parseClusterRef(name);
    if (ref === undefined) {
      throw new GranaryError('usage', `\`${name}\` is neither a destination nor a cluster`, {
        hint: 'write the name of a destination, or SEED/CLUSTER, as in eu-west/prod-a',
      });
    }
    return ofCluster(workspace, ref, options);
  }
  const { destinations } = workspace.desired.configuration;
  const destination = destinations.find((one) => one.name === name);
  if (destination !== undefined) return ofDestination(workspace, destination, options);
  const names = destinations.map((one) => one.name).join(', ');
  throw new GranaryError('unknown-object', `there is no destination ${name} in the configuration`, {
    hint: `${names === '' ? 'it has none at all' : `defined here are ${names}`}; a cluster is written SEED/CLUSTER`,
  });
}

function allOf(workspace: Workspace, options: CheckOptions): Check[] {
  const { seeds, destinations } = workspace.desired.configuration;
  const wanted = seeds.filter(({ name }) => options.seed === undefined || name === options.seed);
  return [
    ...destinations
      .filter((one) => options.seed === undefined || (one.seeds ?? [options.seed]).includes(options.seed))
      .map((one) => ofDestination(workspace, one, options)),
    ...wanted.flatMap((seed) =>
      seed.clusters
        .filter((cluster) => isEnabled(seed, cluster))
        .map((cluster) => ofCluster(workspace, { seed: seed.name, cluster: cluster.name }, options)),
    ),
  ];
}

/** Clusters that a check of everything leaves out, as nothing is backed up there. */
export function leftOut({ desired }: Workspace, seed: string | undefined): string[] {
  return desired.configuration.seeds
    .filter(({ name }) => seed === undefined || name === seed)
    .flatMap((owner) =>
      owner.clusters
        .filter((cluster) => !isEnabled(owner, cluster))
        .map((cluster) => `${owner.name}/${cluster.name}`),
    );
}

function isEnabled(seed: Seed, cluster: Cluster): boolean {
  return seed.enabled && cluster.enabled;
}

function ofDestination(workspace: Workspace, destination: Destination, options: CheckOptions): Check {
  const { seeds } = workspace.desired.configuration;
  const serves = destination.seeds ?? seeds.map(({ name }) => name);
  const inPlay = options.seed !== undefined && serves.includes(options.seed) ? options.seed : serves[0];
  return () => checkDestination(workspace, destination, inPlay ?? 'check', options);
}

function ofCluster(workspace: Workspace, ref: ClusterRef, options: CheckOptions): Check {
  return () => checkCluster(workspace, ref, options);
}

/** Runs a few at a time and gives their results in order. After a failure no other begins. */
async function* inOrder(checks: readonly Check[]): AsyncGenerator<CheckResult, void, undefined> {
  const running: Promise<CheckResult>[] = [];
  const waiting = checks.values();
  const begin = () => {
    const { value: check } = waiting.next();
    if (check === undefined) return;
    const run = check();
    // It is awaited when its turn comes; until then its failure is no unhandled one.
    run.catch(() => {});
    running.push(run);
  };
  for (let lane = 0; lane < concurrency; lane += 1) begin();
  for (let run = running.shift(); run !== undefined; run = running.shift()) {
    const result = await run;
    begin();
    yield result;
  }
}
