/** Organizations and projects: whose an object is, who may use it, and the defaults of each scope. */
import type { Scope } from '../../model/config.ts';
import { scopeAllows } from '../defaults.ts';
import { childPointer } from '../pointer.ts';
import { byName, namedDestinations } from '../resolve.ts';
import { quoted, scopeWords } from '../words.ts';
import type { Finding, Rule, RuleContext, Sourced } from './context.ts';
import { etcdCredentials } from './etcds.ts';

export const projectsHaveAnOrganization: Rule = ({ seeds, destinations, credentials, report }) => {
  for (const { object, source, spec } of [...seeds, ...destinations, ...credentials]) {
    if (object.projects.length === 0 || object.organization !== null) continue;
    report(source, `${spec}/projects`, {
      code: 'projects-without-organization',
      place: 'key',
      message: '`projects` without `organization`: nobody could say whose they are',
      hint: 'name the organization that they belong to',
    });
  }
};

/** One default for each organization and project: with two of them chance would decide. */
export const oneDefaultPerScope: Rule = ({ destinations, credentials, report }) => {
  reportSecondDefaults(report, 'destination', destinations, () => '');
  reportSecondDefaults(report, 'credential', credentials, ({ type }) => ` of type ${type}`);
};

function reportSecondDefaults<T extends Scope & { readonly name: string; readonly default: boolean }>(
  report: RuleContext['report'],
  what: string,
  all: readonly Sourced<T, unknown>[],
  groupOf: (object: T) => string,
): void {
  const first = new Map<string, Sourced<T, unknown>>();
  for (const sourced of all.filter(({ object }) => object.default)) {
    const { object, source, spec } = sourced;
    const scopes = object.projects.length === 0 ? [null] : object.projects;
    const others = scopes.flatMap((project) => {
      const key = JSON.stringify([object.organization, project, groupOf(object)]);
      const other = first.get(key);
      if (other === undefined) first.set(key, sourced);
      return other ?? [];
    });
    const [other] = others;
    if (other === undefined) continue;
    const { name, position } = other.object as T & { position: { file: string; line: number } };
    report(source, `${spec}/default`, {
      code: 'two-defaults',
      message: `${what} ${quoted(name)} is the default${groupOf(object)} of ${scopeWords(object)} too`,
      hint: `one default for each scope; the other is in ${position.file}:${position.line}`,
    });
  }
}

/** A Credential's `default` means something to stores only. */
export const defaultsAreOfStores: Rule = ({ credentials, report }) => {
  for (const { object, source, spec } of credentials) {
    if (!object.default || (object.type !== 'etcd' && object.type !== 'token')) continue;
    report(source, `${spec}/default`, {
      code: 'default-without-use',
      message: `a Credential of type ${object.type} is no default of anything: only destinations have one`,
      hint: 'remove `default`, and name the credential where it is used',
    });
  }
};

/** What belongs to one organization or project is used by nobody else. */
export const scopesAreKept: Rule = (context) => {
  destinationsKeepTheirScope(context);
  credentialsKeepTheirScope(context);
};

function destinationsKeepTheirScope(context: RuleContext): void {
  const destinations = byName(context.destinations.map(({ object }) => object));
  const finding = (name: string, user: string, scope: Scope): Finding | null => {
    const destination = destinations.get(name);
    if (destination === undefined || scopeAllows(destination, scope)) return null;
    return outside('destination', name, destination, user, scope);
  };
  for (const { object: seed, written, source, spec } of context.seeds) {
    if (written.spec.defaultDestination === undefined || seed.defaultDestination === null) continue;
    const found = finding(seed.defaultDestination, `seed ${quoted(seed.name)}`, seed);
    if (found !== null) context.report(source, `${spec}/defaultDestination`, found);
  }
  const matched = Map.groupBy(context.assignments, ({ policy }) => policy);
  for (const { object: policy, written, source, spec } of context.policies) {
    const users = [...new Set(matched.get(policy)?.map(({ seed }) => seed))];
    policy.destinations?.forEach(({ name }, index) => {
      const first = users.flatMap((seed) => finding(name, `seed ${quoted(seed.name)}`, seed) ?? [])[0];
      if (first === undefined) return;
      const pointer = childPointer(`${spec}/destinations`, index);
      const isName = typeof written.spec.destinations?.[index] === 'string';
      context.report(source, isName ? pointer : `${pointer}/name`, first);
    });
  }
}

function credentialsKeepTheirScope(context: RuleContext): void {
  const credentials = byName(context.credentials.map(({ object }) => object));
  const reportUse = (
    { source }: Pick<Sourced<unknown, unknown>, 'source'>,
    pointer: string,
    name: string | null | undefined,
    user: string,
    scope: Scope,
  ): void => {
    const credential = credentials.get(name ?? '');
    if (credential === undefined || scopeAllows(credential, scope)) return;
    context.report(source, pointer, outside('credential', credential.name, credential, user, scope));
  };
  for (const destination of context.destinations) {
    const { object, spec } = destination;
    const user = `destination ${quoted(object.name)}`;
    reportUse(destination, `${spec}/credential`, object.credential, user, object);
  }
  for (const seed of context.seeds) {
    const { object } = seed;
    const user = `seed ${quoted(object.name)}`;
    for (const { name, pointer } of etcdCredentials(object)) reportUse(seed, pointer, name, user, object);
  }
  for (const repository of context.repositories) {
    const everybody: Scope = { organization: null, projects: [] };
    repository.object.notifications.forEach(({ credential }, index) => {
      const pointer = childPointer('/spec/notifications', index, 'credential');
      reportUse(repository, pointer, credential, 'the Repository', everybody);
    });
  }
}

function outside(what: string, name: string, owner: Scope, user: string, scope: Scope): Finding {
  return {
    code: 'scope',
    message: `${what} ${quoted(name)} belongs to ${scopeWords(owner)}, and ${user} to ${scopeWords(scope)}`,
    hint: 'use one of the same organization and project, or one that belongs to everybody',
  };
}

/** Backups beside what they protect do not survive it. */
export const somethingIsElsewhere: Rule = ({ seeds, destinations, assignments, report }) => {
  const defined = byName(destinations.map(({ object }) => object));
  const bySeed = Map.groupBy(assignments, ({ seed }) => seed);
  for (const { object: seed, source } of seeds) {
    if (!seed.enabled) continue;
    const named = (bySeed.get(seed) ?? [])
      .filter(({ policy }) => !policy.suspend)
      .flatMap(({ policy }) => namedDestinations(policy, seed).map(({ name }) => name));
    const used = [...new Set(named)].flatMap((name) => defined.get(name) ?? []);
    if (used.length === 0 || used.some(({ locality, locked }) => locality === 'external' && !locked))
      continue;
    const internal = used.filter(({ locality }) => locality === 'internal').map(({ name }) => quoted(name));
    if (internal.length === 0) continue;
    report(source, '/spec', {
      code: 'internal-only',
      severity: 'warning',
      place: 'key',
      message: `backups of seed ${quoted(seed.name)} go to internal destinations only (${internal.join(', ')}): not for disaster recovery`,
      hint: 'add a destination that does not go down together with the seed',
    });
  }
};
