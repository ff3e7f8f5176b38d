/** One commit of the configuration, valid and ready to act on: what is wanted, and the means to reach it. */
import { closureOf, resolveAssignments } from '../config/index.ts';
import type { Source } from '../git/source.ts';
import type { Assignment, Cluster, Configuration, Desired, Diagnostic } from '../model/config.ts';
import { GranaryError } from '../model/errors.ts';
import { Credentials, type CredentialsOptions } from './credentials.ts';
import { Destinations } from './destinations.ts';
import { loadChecked } from './lint.ts';
import type { Readiness } from './readiness.ts';

export interface Workspace extends AsyncDisposable {
  readonly desired: Desired;
  /** Where the configuration comes from. A source moves on; this is still of the commit in `desired`. */
  readonly source: Pick<Source, 'relation'>;
  readonly credentials: Credentials;
  readonly destinations: Destinations;
  /** Keeps what was applied; null: nothing is kept. */
  readonly stateFolder: string | null;
  /** What does not stop anything: warnings, and errors that the chosen seed does not reach. */
  readonly warnings: readonly Diagnostic[];
}

export interface WorkspaceOptions extends CredentialsOptions {
  /** Only this seed: only errors that it reaches count, and only its clusters are assigned. */
  readonly seed?: string | undefined;
  /** For commands that read backups: those of a seed that Git no longer names are kept, and are still theirs to find. */
  readonly seedMayBeGone?: boolean | undefined;
  /** What outlives the process is kept here; absent: nothing is. */
  readonly stateFolder?: string | null | undefined;
  /** What is known of the destinations from before; absent: nothing. */
  readonly readiness?: Readiness | undefined;
}

/** The configuration has errors. They are all in `diagnostics`; the message names the first. */
export class InvalidConfiguration extends GranaryError {
  readonly configuration: Configuration;

  constructor(configuration: Configuration, errors: readonly Diagnostic[]) {
    const [first] = errors;
    const where = first === undefined ? '' : `${first.file}:${first.line}:${first.column}: ${first.message}`;
    const more = errors.length > 1 ? `, and ${errors.length - 1} more` : '';
    super(
      'config-invalid',
      `the configuration has ${errors.length === 1 ? 'an error' : 'errors'}: ${where}${more}`,
      {
        hint: first?.hint ?? '`granary validate` lists them all',
        context: { errors: errors.length },
      },
    );
    this.configuration = configuration;
  }
}

/**
 * Reads and checks the configuration of a source.
 * @throws InvalidConfiguration; GranaryError `unknown-object` for a seed that is not there
 */
export async function openWorkspace(source: Source, options: WorkspaceOptions): Promise<Workspace> {
  return makeWorkspace(source, await loadChecked(source.root), options);
}

/** As `openWorkspace`, of a configuration that was read already: several seeds share one reading. */
export function makeWorkspace(
  source: Pick<Source, 'root' | 'commit' | 'relation'>,
  configuration: Configuration,
  options: WorkspaceOptions,
): Workspace {
  const { seed } = options;
  const isGone = options.seedMayBeGone === true && !configuration.seeds.some(({ name }) => name === seed);
  if (seed !== undefined && !isGone) requireSeed(configuration, seed);
  // Nothing is wanted of a seed that is gone, so nothing that is wrong with what is wanted can stand in the way.
  const relevant = isGone
    ? []
    : seed === undefined
      ? configuration.diagnostics
      : closureOf(configuration, seed);
  const errors = relevant.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) throw new InvalidConfiguration(configuration, errors);
  const credentials = new Credentials(source.root, configuration, options);
  const destinations = new Destinations(credentials, { seed, readiness: options.readiness });
  const assignments = resolveAssignments(configuration).filter(
    (one) => seed === undefined || one.seed.name === seed,
  );
  return {
    desired: { commit: source.commit?.id ?? null, configuration, assignments },
    source,
    credentials,
    destinations,
    stateFolder: options.stateFolder ?? null,
    warnings: configuration.diagnostics,
    [Symbol.asyncDispose]: () => destinations[Symbol.asyncDispose](),
  };
}

/** @throws GranaryError `unknown-object` */
export function requireSeed(configuration: Configuration, name: string): void {
  const names = configuration.seeds.map((seed) => seed.name);
  if (names.includes(name)) return;
  throw new GranaryError('unknown-object', `there is no seed ${name} in the configuration`, {
    hint:
      names.length === 0 ? 'the configuration has no seed at all' : `defined here are ${names.join(', ')}`,
  });
}

/** One cluster by its name. @throws GranaryError `unknown-object` */
export function clusterOf({ seeds }: Configuration, seed: string, cluster: string): Cluster {
  const found = seeds.find((one) => one.name === seed)?.clusters.find((one) => one.name === cluster);
  if (found !== undefined) return found;
  const known = seeds.flatMap((one) => one.clusters.map((each) => `${one.name}/${each.name}`));
  throw new GranaryError('unknown-object', `there is no cluster ${seed}/${cluster} in the configuration`, {
    hint: known.length === 0 ? 'the configuration has no cluster at all' : `defined here are ${some(known)}`,
  });
}

/** The assignments of one cluster. @throws GranaryError `unknown-object` */
export function assignmentsOf(desired: Desired, seed: string, cluster: string): readonly Assignment[] {
  clusterOf(desired.configuration, seed, cluster);
  return desired.assignments.filter((one) => one.seed.name === seed && one.cluster.name === cluster);
}

/** A few of many names, and how many more there are. */
export function some(names: readonly string[]): string {
  const shown = names.slice(0, 10).join(', ');
  return names.length <= 10 ? shown : `${shown} and ${names.length - 10} more`;
}
