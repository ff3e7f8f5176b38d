/** What differs between what was last applied and what is wanted, by kind and name, field by field. */
import type { Kind } from '../model/config.ts';
import type { Change, FieldChange } from '../model/generated/plan.ts';
import type { PlainCluster, PlainObject, PlainObjects, PlainSeed } from '../model/state.ts';
import { shortDuration } from './retention.ts';

type Value = FieldChange['after'];
type Leaves = Map<string, Value>;

/** A change before anybody has thought about what it does to backups. */
export type BareChange = Omit<Change, 'consequences'>;

/**
 * All changes: seeds, destinations, credentials, policies, repository, each by name. Values stand as people write them
 * (`48h`, `8Gi`), under the path below `spec`.
 * @param before null: nothing was applied yet, so that everything is new
 */
export function diffObjects(before: PlainObjects | null, after: PlainObjects): BareChange[] {
  return [
    ...diffNamed('Seed', before?.seeds ?? [], after.seeds, seedFields),
    ...diffNamed('Destination', before?.destinations ?? [], after.destinations, plainFields),
    ...diffNamed('Credential', before?.credentials ?? [], after.credentials, plainFields),
    ...diffNamed('Policy', before?.policies ?? [], after.policies, plainFields),
    // There is always one, with defaults where nobody wrote it: so it is never new and never gone.
    ...(before === null ? [] : changed('Repository', before.repository, after.repository, plainFields)),
  ];
}

function diffNamed<T extends PlainObject>(
  kind: Kind,
  before: readonly T[],
  after: readonly T[],
  fieldsOf: (before: T, after: T) => FieldChange[],
): BareChange[] {
  const old = new Map(before.map((object) => [object.name, object]));
  const present = new Map(after.map((object) => [object.name, object]));
  const names = [...new Set([...old.keys(), ...present.keys()])].sort();
  return names.flatMap((name): BareChange[] => {
    const from = old.get(name);
    const to = present.get(name);
    if (from === undefined) return [{ kind, name, change: 'add', fields: [] }];
    if (to === undefined) return [{ kind, name, change: 'remove', fields: [] }];
    return changed(kind, from, to, fieldsOf);
  });
}

function changed<T extends PlainObject>(
  kind: Kind,
  before: T,
  after: T,
  fieldsOf: (before: T, after: T) => FieldChange[],
): BareChange[] {
  const fields = fieldsOf(before, after).map((field) =>
    field.path === 'dataDigest'
      ? { path: 'data', before: 'encrypted', after: 'changed, or encrypted anew' }
      : field,
  );
  return fields.length === 0 ? [] : [{ kind, name: after.name, change: 'change', fields }];
}

function plainFields(before: PlainObject, after: PlainObject): FieldChange[] {
  return diffLeaves(leavesOf(before), leavesOf(after));
}

function seedFields(before: PlainSeed, after: PlainSeed): FieldChange[] {
  const { clusters: oldClusters, ...oldSeed } = before;
  const { clusters: newClusters, ...newSeed } = after;
  return [...diffLeaves(leavesOf(oldSeed), leavesOf(newSeed)), ...clusterFields(oldClusters, newClusters)];
}

/** A cluster that is new or gone is one line, not one for each of its fields. */
function clusterFields(before: readonly PlainCluster[], after: readonly PlainCluster[]): FieldChange[] {
  const old = new Map(before.map((cluster) => [cluster.name, cluster]));
  const present = new Map(after.map((cluster) => [cluster.name, cluster]));
  return [...new Set([...old.keys(), ...present.keys()])].sort().flatMap((name): FieldChange[] => {
    const path = `clusters.${name}`;
    const from = old.get(name);
    const to = present.get(name);
    if (from === undefined || to === undefined) {
      return [{ path, before: endpointsOf(from), after: endpointsOf(to) }];
    }
    return diffLeaves(leavesOf(from, `${path}.`), leavesOf(to, `${path}.`));
  });
}

function endpointsOf(cluster: PlainCluster | undefined): Value {
  return cluster === undefined ? null : [...cluster.endpoints];
}

function diffLeaves(before: Leaves, after: Leaves): FieldChange[] {
  return [...new Set([...before.keys(), ...after.keys()])].sort().flatMap((path): FieldChange[] => {
    const from = before.get(path) ?? null;
    const to = after.get(path) ?? null;
    return JSON.stringify(from) === JSON.stringify(to) ? [] : [{ path, before: from, after: to }];
  });
}

/** The object's own names that are not fields of it. */
const notFields: ReadonlySet<string> = new Set(['kind', 'name', 'position']);

function leavesOf(object: object, prefix = '', leaves: Leaves = new Map()): Leaves {
  for (const [name, value] of Object.entries(object)) {
    if (!notFields.has(name)) addLeaf(leaves, prefix, name, value);
  }
  return leaves;
}

function addLeaf(leaves: Leaves, prefix: string, name: string, value: unknown): void {
  if (value === null || value === undefined) return;
  if (Array.isArray(value)) {
    addList(leaves, prefix, name, value);
  } else if (typeof value === 'object') {
    // Labels may be called anything, `name` as well: their keys are not fields of ours.
    if (name === 'labels' || name === 'matchLabels') {
      for (const [key, text] of Object.entries(value)) leaves.set(`${prefix}${name}.${key}`, String(text));
    } else leavesOf(value, `${prefix}${name}.`, leaves);
  } else {
    const [path, text] = asWritten(name, value);
    leaves.set(`${prefix}${path}`, text);
  }
}

/** A list of named objects (a policy's destinations) is its names in order, and what each of them says. */
function addList(leaves: Leaves, prefix: string, name: string, items: readonly unknown[]): void {
  const path = listPaths[name] ?? name;
  leaves.set(`${prefix}${path}`, items.map(itemText));
  for (const item of items) if (isNamed(item)) leavesOf(item, `${prefix}${path}.${item.name}.`, leaves);
}

/** An item of a list in a few words. */
function itemText(item: unknown): string {
  if (typeof item !== 'object' || item === null) return String(item);
  if (isNamed(item)) return item.name;
  if ('digest' in item && 'expires' in item)
    return `${String(item.digest).slice(0, 12)} until ${item.expires}`;
  return Object.entries(item)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => `${key} ${Array.isArray(value) ? value.join('+') : value}`)
    .join(', ');
}

function isNamed(item: unknown): item is { readonly name: string } {
  return typeof item === 'object' && item !== null && 'name' in item && typeof item.name === 'string';
}

/** Lists that stand elsewhere in what people write. */
const listPaths: Readonly<Record<string, string>> = {
  recipients: 'encryption.recipients',
  dataKeys: 'data.keys',
};

function asWritten(name: string, value: unknown): [path: string, value: Value] {
  if (typeof value !== 'number') return [name, typeof value === 'boolean' ? value : String(value)];
  if (name.endsWith('Ms')) return [name.slice(0, -2), shortDuration(value)];
  if (name === 'maxSharePercent') return ['maxShare', `${value}%`];
  if (name === 'maxDatabaseSize') return [name, shortSize(value)];
  return [name, value];
}

function shortSize(bytes: number): string {
  const units = [
    ['Ti', 2 ** 40],
    ['Gi', 2 ** 30],
    ['Mi', 2 ** 20],
    ['Ki', 2 ** 10],
  ] as const;
  for (const [unit, size] of units) if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  return String(bytes);
}
