/** A folder of YAML to a configuration with every fault that can be known offline. */
import type { Configuration, Diagnostic, Kind } from '../model/config.ts';
import { backupName } from '../model/names.ts';
import {
  completeCredential,
  completeDestination,
  completePolicy,
  completeRepository,
  completeSeed,
  defaultRepository,
} from './complete.ts';
import { credentialOf, defaultDestinationOf, seedsWithLabels } from './defaults.ts';
import { backupDestination, backupPointer, backupPolicy, selectsNothing } from './deprecated.ts';
import { type ConfigurationFile, type FoundFiles, readConfigurationFiles } from './files.ts';
import { parseFile } from './parse.ts';
import { resolveAssignments } from './resolve.ts';
import type { RuleContext, Sourced } from './rules/context.ts';
import { rules } from './rules/index.ts';
import { readSource, type Source } from './source.ts';

export interface LoadOptions {
  /** What the ends of certificates are compared with; default: this moment. */
  readonly now?: Date;
}

/**
 * Reads the configuration below `root`. All faults are in `diagnostics`, those of every file at once, errors first and
 * then by file and position; objects with a fault are there as far as they could be understood, so only a configuration
 * without errors may be acted on.
 * @throws GranaryError `config-not-found` where `root` is no folder; nothing for bad content
 */
export async function loadConfiguration(root: string, options: LoadOptions = {}): Promise<Configuration> {
  return configurationOf(await readConfigurationFiles(root), options);
}

/** As `loadConfiguration`, of files that were read already, or that are not written yet. */
export function configurationOf(found: FoundFiles, options: LoadOptions = {}): Configuration {
  const diagnostics: Diagnostic[] = [...found.diagnostics];
  const sources: Source[] = [];
  for (const { file, text } of found.files) {
    const { documents, faults } = parseFile(file, text);
    documents.forEach((document, index) => {
      const read = readSource(document, faults[index] ?? []);
      diagnostics.push(...read.diagnostics);
      if (read.source !== null) sources.push(read.source);
    });
  }
  if (found.count === 0) diagnostics.push(nothingFound());
  const objects = withDefaults(withBackups(completeAll(sources)));
  const configuration = {
    seeds: objects.seeds.map(({ object }) => object),
    destinations: objects.destinations.map(({ object }) => object),
    credentials: objects.credentials.map(({ object }) => object),
    policies: objects.policies.map(({ object }) => object),
    repository: objects.repositories[0]?.object ?? defaultRepository(),
  };
  const context: RuleContext = {
    ...objects,
    sources,
    assignments: resolveAssignments(configuration),
    defined: definedNames(sources, objects),
    now: options.now ?? new Date(),
    report: (source, pointer, finding) => {
      const diagnostic = source.diagnose(pointer, finding);
      if (diagnostic !== null) diagnostics.push(diagnostic);
    },
  };
  for (const rule of rules) rule(context);
  return { ...configuration, diagnostics: diagnostics.sort(inOrder), files: found.count };
}

/** What is wrong with one file by itself: its YAML, and each document by the closed schema of its kind. */
export function diagnoseFile({ file, text }: ConfigurationFile): Diagnostic[] {
  const { documents, faults } = parseFile(file, text);
  return documents.flatMap((document, index) => readSource(document, faults[index] ?? []).diagnostics);
}

type SourcedObjects = Pick<
  RuleContext,
  'seeds' | 'destinations' | 'credentials' | 'policies' | 'repositories'
>;

/** Every document that could be understood, completed. The schema has vouched for the types of what was written. */
function completeAll(sources: readonly Source[]): SourcedObjects {
  function all<Complete, Written>(
    kind: Kind,
    complete: (written: Written, locate: (pointer: string) => ReturnType<Source['locate']>) => Complete,
  ): Sourced<Complete, Written>[] {
    return sources
      .filter((source) => source.kind === kind && source.value !== undefined)
      .map((source) => {
        const written = source.value as Written;
        const object = complete(written, (pointer) => source.locate(pointer, 'value'));
        return { object, written, source, spec: '/spec' };
      });
  }
  return {
    seeds: all('Seed', completeSeed),
    destinations: all('Destination', completeDestination),
    credentials: all('Credential', completeCredential),
    policies: all('Policy', completePolicy),
    repositories: all('Repository', completeRepository),
  };
}

/** With the destinations and policies that a deprecated `backup:` stands for. */
function withBackups(objects: SourcedObjects): SourcedObjects {
  const policies = objects.policies.map(({ object }) => object);
  const added = objects.seeds.flatMap(({ object: seed, written: { spec }, source }) => {
    if (spec.backup === undefined) return [];
    const locate = () => source.locate(backupPointer, 'key');
    const destination = backupDestination(seed, spec.backup);
    const policy = backupPolicy(seed.name);
    const at = { source, spec: backupPointer };
    return [
      {
        destination: { ...at, object: completeDestination(destination, locate), written: destination },
        policy: selectsNothing(seed, policies)
          ? [{ ...at, object: completePolicy(policy, locate), written: policy }]
          : [],
      },
    ];
  });
  return {
    ...objects,
    destinations: [...objects.destinations, ...added.map(({ destination }) => destination)],
    policies: [...objects.policies, ...added.flatMap(({ policy }) => policy)],
  };
}

/** With what objects have from others where they say nothing themselves. */
function withDefaults(objects: SourcedObjects): SourcedObjects {
  const seeds = objects.seeds.map(({ object }) => object);
  const credentials = objects.credentials.map(({ object }) => object);
  const destinations = objects.destinations.map((sourced) => {
    const { seeds: chosen } = sourced.written.spec;
    const served =
      chosen === undefined || Array.isArray(chosen)
        ? sourced.object.seeds
        : seedsWithLabels(chosen.matchLabels, seeds);
    const object = { ...sourced.object, seeds: served };
    return { ...sourced, object: { ...object, credential: credentialOf(object, credentials) } };
  });
  const complete = destinations.map(({ object }) => object);
  return {
    ...objects,
    destinations,
    seeds: objects.seeds.map((sourced) => {
      const lastResort = sourced.written.spec.backup === undefined ? null : backupName(sourced.object.name);
      const defaultDestination = defaultDestinationOf(sourced.object, complete, lastResort);
      return { ...sourced, object: { ...sourced.object, defaultDestination } };
    }),
  };
}

function definedNames(
  sources: readonly Source[],
  objects: SourcedObjects,
): Record<Kind, ReadonlySet<string>> {
  const names: Record<Kind, Set<string>> = {
    Seed: new Set(),
    Destination: new Set(),
    Credential: new Set(),
    Policy: new Set(),
    Repository: new Set(),
  };
  for (const { kind, name } of sources) if (name !== null) names[kind].add(name);
  // What `backup:` stands for has a name and no document.
  for (const { object } of [...objects.destinations, ...objects.policies])
    names[object.kind].add(object.name);
  return names;
}

function nothingFound(): Diagnostic {
  return {
    file: '.',
    line: 1,
    column: 1,
    severity: 'warning',
    code: 'nothing-found',
    pointer: '',
    message: 'there is no *.yaml or *.yml file in this folder',
    hint: 'give the folder of the configuration repository with --path; `granary init DIR` makes one',
    subject: null,
  };
}

/** Errors first, then by file and position. */
function inOrder(a: Diagnostic, b: Diagnostic): number {
  if (a.severity !== b.severity) return a.severity === 'error' ? -1 : 1;
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || a.column - b.column || (a.code < b.code ? -1 : a.code > b.code ? 1 : 0);
}
