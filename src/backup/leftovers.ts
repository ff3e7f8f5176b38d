/** What restores that ended early have left beside a target. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { shellWord } from '../model/shell.ts';
import { partName } from './stored-part.ts';
import { type HiddenPlace, partialName } from './target.ts';

/** Paths of what is there. `plain`: secrets of the cluster in plain text. `parts`: stored bytes, of any backup. */
export interface Leftovers {
  readonly plain: readonly string[];
  readonly parts: readonly string[];
}

/** Looks at the hidden files of a target, without opening one. A folder that cannot be listed has none. */
export async function leftoversOf({ folder, prefix }: HiddenPlace): Promise<Leftovers> {
  const names = await readdir(folder).catch(() => []);
  const named = (form: RegExp) =>
    names
      .filter((name) => name.startsWith(prefix) && form.test(name.slice(prefix.length)))
      .map((name) => join(folder, name));
  return { plain: named(partialName), parts: named(partName) };
}

/** What to say of them before a restore; null where there is nothing that it will not use. */
export function leftoverWarning({ plain, parts }: Leftovers, ownPart: string | null): string | null {
  const others = parts.filter((path) => path !== ownPart);
  if (plain.length + others.length === 0) return null;
  const paths = [...plain, ...others].map(shellWord).join(' ');
  const what =
    plain.length > 0
      ? 'a restore that was killed, or another that still runs, has left secrets of the cluster behind'
      : 'a restore of another backup has left what it had read';
  return `${what}: ${paths}; removed when this one succeeds, or by rm -r`;
}

/**
 * Removes all of them, now that the target is there: whatever else was on its way there can no longer come to an end.
 * What cannot be removed stays, and is named by the next restore.
 */
export async function removeLeftovers(place: HiddenPlace): Promise<void> {
  const { plain, parts } = await leftoversOf(place);
  for (const path of [...plain, ...parts]) await rm(path, { recursive: true, force: true }).catch(() => {});
}
