/** Names that must lead somewhere, and who may use what they lead to. */
import type { Credential, Kind } from '../../model/config.ts';
import { childPointer } from '../pointer.ts';
import { byName, namedDestinations } from '../resolve.ts';
import type { Source } from '../source.ts';
import { definedHere, nearest, quoted } from '../words.ts';
import type { Finding, Rule, RuleContext, SourcedDestination, SourcedPolicy } from './context.ts';
import { etcdCredentials } from './etcds.ts';

/** Every place that names another object, and what kind it names. */
function references(context: RuleContext): { source: Source; pointer: string; kind: Kind; name: string }[] {
  const found: { source: Source; pointer: string; kind: Kind; name: string }[] = [];
  const add = (source: Source, pointer: string, kind: Kind, name: string | null | undefined): void => {
    if (typeof name === 'string') found.push({ source, pointer, kind, name });
  };
  const addAll = (
    source: Source,
    pointer: string,
    kind: Kind,
    names: readonly string[] | null | undefined,
  ): void => {
    names?.forEach((name, index) => {
      add(source, childPointer(pointer, index), kind, name);
    });
  };
  for (const { object, source } of context.seeds) {
    add(source, '/spec/defaultDestination', 'Destination', object.defaultDestination);
    for (const { name, pointer } of etcdCredentials(object)) add(source, pointer, 'Credential', name);
  }
  for (const { object, source, spec } of context.destinations) {
    add(source, `${spec}/credential`, 'Credential', object.credential);
    addAll(source, `${spec}/seeds`, 'Seed', object.seeds);
  }
  for (const { object, source } of context.credentials) {
    addAll(source, '/spec/seeds', 'Seed', object.seeds);
    addAll(source, '/spec/destinations', 'Destination', object.destinations);
  }
  for (const policy of context.policies) {
    addAll(policy.source, '/spec/clusters/seeds', 'Seed', policy.object.clusters.seeds);
    policy.object.destinations?.forEach(({ name }, index) => {
      add(policy.source, destinationPointer(policy, index), 'Destination', name);
    });
  }
  for (const { object, source } of context.repositories) {
    object.notifications.forEach(({ credential }, index) => {
      add(source, childPointer('/spec/notifications', index, 'credential'), 'Credential', credential);
    });
  }
  return found;
}

export const referencesResolve: Rule = (context) => {
  for (const { source, pointer, kind, name } of references(context)) {
    const defined = context.defined[kind];
    if (!defined.has(name)) context.report(source, pointer, unknown(kind.toLowerCase(), name, defined));
  }
};

/** A policy that names clusters names ones that are there, in the seeds it is for. */
export const namedClustersExist: Rule = (context) => {
  for (const { object, source } of context.policies) {
    const { seeds, names } = object.clusters;
    if (names === null) continue;
    const chosen = context.seeds.filter(({ object: seed }) => seeds?.includes(seed.name) ?? true);
    // A cluster may well be in what could not be read of a faulty seed.
    const isSure = context.sources.every((other) => other.kind !== 'Seed' || !other.faulty);
    const defined = new Set(chosen.flatMap(({ object: seed }) => seed.clusters.map(({ name }) => name)));
    names.forEach((name, index) => {
      if (defined.has(name) || !isSure) return;
      context.report(source, childPointer('/spec/clusters/names', index), unknown('cluster', name, defined));
    });
  }
};

function unknown(what: string, name: string, defined: ReadonlySet<string>): Finding {
  const meant = nearest(name, defined);
  const list = definedHere(defined, what);
  return {
    code: 'unknown-reference',
    message: `${what} ${quoted(name)} does not exist`,
    hint: meant === undefined || defined.size <= 8 ? list : `did you mean ${quoted(meant)}? ${list}`,
  };
}

/** A destination that a policy or a seed names serves every seed that this makes it serve. */
export const destinationsServeSeeds: Rule = (context) => {
  const destinations = byName(context.destinations.map(({ object }) => object));
  const serves = (name: string, seed: string): boolean =>
    destinations.get(name)?.seeds?.includes(seed) ?? true;
  const finding = (name: string, seed: string, why: string): Finding => ({
    code: 'destination-not-for-seed',
    message: `destination ${quoted(name)} does not serve the seed ${quoted(seed)}${why}`,
    hint: `its \`seeds\` names ${destinations.get(name)?.seeds?.join(', ')}`,
  });
  for (const { object: seed, source } of context.seeds) {
    const name = seed.defaultDestination;
    if (name === null || serves(name, seed.name)) continue;
    context.report(source, '/spec/defaultDestination', finding(name, seed.name, ''));
  }
  const matched = matchedSeeds(context);
  for (const policy of context.policies) {
    policy.object.destinations?.forEach(({ name }, index) => {
      const stranger = matched(policy).find((seed) => !serves(name, seed));
      if (stranger === undefined) return;
      context.report(
        policy.source,
        destinationPointer(policy, index),
        finding(name, stranger, ', which this policy matches'),
      );
    });
  }
};

function matchedSeeds(context: RuleContext): (policy: SourcedPolicy) => readonly string[] {
  const matched = new Map<unknown, Set<string>>();
  for (const { policy, seed } of context.assignments) {
    const seeds = matched.get(policy) ?? new Set();
    matched.set(policy, seeds.add(seed.name));
  }
  return ({ object }) => [...(matched.get(object) ?? [])];
}

/** A credential is used only by those that it says may use it, and it is of the type they need. */
export const credentialsFitTheirUsers: Rule = (context) => {
  const credentials = byName(context.credentials.map(({ object }) => object));
  const seedsOf = seedsByDestination(context);
  for (const { object: destination, source, spec } of context.destinations) {
    const credential = credentials.get(destination.credential ?? '');
    if (credential === undefined || destination.provider === 'filesystem') continue;
    const pointer = `${spec}/credential`;
    if (credential.type !== destination.provider) {
      context.report(source, pointer, wrongType(credential, destination.provider));
    }
    if (credential.destinations !== null && !credential.destinations.includes(destination.name)) {
      context.report(source, pointer, {
        code: 'audience',
        message: `credential ${quoted(credential.name)} is not for the destination ${quoted(destination.name)}`,
        hint: `its \`destinations\` names ${credential.destinations.join(', ')}`,
      });
    }
    const strangers = seedsOf(destination).filter((seed) => credential.seeds?.includes(seed) === false);
    if (strangers[0] !== undefined) context.report(source, pointer, wrongSeed(credential, strangers[0]));
  }
  for (const { object: seed, source } of context.seeds) {
    for (const { use, name, pointer } of etcdCredentials(seed)) {
      const credential = credentials.get(name);
      if (credential === undefined) continue;
      if (credential.type !== 'etcd') context.report(source, pointer, wrongType(credential, 'etcd'));
      else reportMissingData(context, source, pointer, credential, use);
      if (credential.seeds?.includes(seed.name) === false) {
        context.report(source, pointer, wrongSeed(credential, seed.name));
      }
    }
  }
  for (const { object, source } of context.repositories) {
    object.notifications.forEach(({ credential: name }, index) => {
      const credential = credentials.get(name ?? '');
      if (credential === undefined || credential.type === 'token') return;
      const pointer = childPointer('/spec/notifications', index, 'credential');
      context.report(source, pointer, wrongType(credential, 'token'));
    });
  }
};

function wrongType(credential: Credential, wanted: string): Finding {
  return {
    code: 'credential-type',
    message: `credential ${quoted(credential.name)} is of type ${credential.type}; type ${wanted} is needed here`,
  };
}

function wrongSeed(credential: Credential, seed: string): Finding {
  return {
    code: 'audience',
    message: `credential ${quoted(credential.name)} is not for the seed ${quoted(seed)}`,
    hint: `its \`seeds\` names ${credential.seeds?.join(', ')}`,
  };
}

function reportMissingData(
  context: RuleContext,
  source: Source,
  pointer: string,
  credential: Credential,
  use: 'tls' | 'auth',
): void {
  const has = (key: string): boolean => credential.dataKeys.includes(key);
  const isEnough =
    use === 'auth' ? has('username') && has('password') : has('caCertificate') || has('certificate');
  if (isEnough) return;
  const wanted = use === 'auth' ? '`username` and `password`' : '`caCertificate` or `certificate` and `key`';
  context.report(source, pointer, {
    code: 'missing-data',
    message: `credential ${quoted(credential.name)} has no ${wanted} in its data`,
  });
}

/** The seeds that a destination serves by name, or that back up to it. */
function seedsByDestination(context: RuleContext): (destination: SourcedDestination['object']) => string[] {
  const used = new Map<string, Set<string>>();
  for (const { policy, seed } of context.assignments) {
    for (const { name } of namedDestinations(policy, seed)) {
      const seeds = used.get(name) ?? new Set();
      used.set(name, seeds.add(seed.name));
    }
  }
  return ({ name, seeds }) => [...(seeds ?? used.get(name) ?? [])];
}

function destinationPointer({ written }: SourcedPolicy, index: number): string {
  const pointer = childPointer('/spec/destinations', index);
  return typeof written.spec.destinations?.[index] === 'string' ? pointer : `${pointer}/name`;
}
