/** A JSON schema with its `$ref`s replaced by what they mean. */
import { GranaryError } from '../model/errors.ts';
import { valueAt } from './pointer.ts';

const annotations = new Set(['$ref', 'description', 'examples', 'default', 'title', 'x-what']);

/**
 * Replaces every reference, to the same file or to one that `read` gives, by the schema it names.
 *
 * ajv makes a function of each referenced schema, and with all errors wanted it copies the list of errors found so far
 * whenever one fails: 50,000 faulty items of a list took minutes. Without references it takes linear time.
 * Schemas here do not refer to themselves; one that did would be an `internal` error, like any that does not resolve.
 */
export function dereference(root: unknown, read: (file: string) => unknown): unknown {
  return replaceIn(root, root, read, []);
}

function replaceIn(node: unknown, root: unknown, read: (file: string) => unknown, within: string[]): unknown {
  if (Array.isArray(node)) return node.map((item) => replaceIn(item, root, read, within));
  if (typeof node !== 'object' || node === null) return node;
  const { $ref, ...own } = node as Record<string, unknown>;
  const replaced = Object.fromEntries(
    Object.entries(own)
      // Nothing refers to these any more.
      .filter(([key]) => key !== '$defs')
      .map(([key, value]) => [key, replaceIn(value, root, read, within)]),
  );
  if (typeof $ref !== 'string') return replaced;
  if (within.includes($ref)) throw new GranaryError('internal', `the schema ${$ref} refers to itself`);
  const [file = '', pointer = ''] = $ref.split('#');
  const target = file === '' ? root : read(file);
  const found = valueAt(target, pointer);
  if (typeof found !== 'object' || found === null) {
    throw new GranaryError('internal', `the schema refers to ${$ref}, which is not there`);
  }
  const meant = replaceIn(found, target, read, [...within, $ref]) as Record<string, unknown>;
  return merged(meant, replaced, $ref);
}

/** Both hold. Beside a reference there are only words about it, or what it says itself. */
function merged(meant: Record<string, unknown>, own: Record<string, unknown>, ref: string) {
  for (const key of Object.keys(own)) {
    if (annotations.has(key) || !Object.hasOwn(meant, key) || meant[key] === own[key]) continue;
    throw new GranaryError('internal', `\`${key}\` beside the reference ${ref} says something else than it`);
  }
  return { ...meant, ...own };
}
