/** On which line of which file a changed field stands. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { childPointer, parseFile, readSource, type Source } from '../config/index.ts';
import type { Configuration, Position } from '../model/config.ts';
import type { Change } from '../model/generated/plan.ts';

/**
 * Finds lines in the files below `root`.
 * @returns the position of a field (`keep.monthly`, or the nearest above it that is written), or of the object
 *   where the path is null; null for an object that is gone
 */
export function fieldLocator(
  root: string,
  { seeds, destinations, credentials, policies, repository }: Configuration,
): (change: Change, path: string | null) => Position | null {
  const sources = new Map<string, readonly Source[]>();
  const sourcesIn = (file: string): readonly Source[] => {
    const read = sources.get(file) ?? readSources(root, file);
    sources.set(file, read);
    return read;
  };
  const objects = [...seeds, ...destinations, ...credentials, ...policies, repository];
  return ({ kind, name }, path) => {
    const object = objects.find((one) => one.kind === kind && one.name === name);
    if (object === undefined || object.position.file === '') return null;
    const source = sourcesIn(object.position.file).find((one) => one.kind === kind && one.name === name);
    if (source === undefined) return object.position;
    if (path === null) return source.locate('/metadata/name', 'value');
    return source.locate(pointerOf(source.value, path), 'key');
  };
}

/** All objects of a file. */
function readSources(root: string, file: string): Source[] {
  const { documents } = parseFile(file, readFileSync(join(root, file), 'utf8'));
  return documents.map((document) => readSource(document, []).source).filter((one) => one !== null);
}

/** `clusters.prod-a.endpoints` as a pointer, as far as the document goes along with it. */
function pointerOf(document: unknown, path: string): string {
  const isLabel = path.startsWith('labels.');
  let pointer = isLabel ? '/metadata' : '/spec';
  let value: unknown = child(document, pointer.slice(1));
  // The key of a label may have dots.
  for (const part of isLabel ? ['labels', path.slice('labels.'.length)] : path.split('.')) {
    const key = Array.isArray(value) ? String(value.findIndex((one) => child(one, 'name') === part)) : part;
    const next = child(value, key);
    if (next === undefined) break;
    pointer = childPointer(pointer, key);
    value = next;
  }
  return pointer;
}

function child(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? Reflect.get(value, key)
    : undefined;
}
