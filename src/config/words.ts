/** Small pieces of messages. */
import type { Scope } from '../model/config.ts';

/** Longer lists are cut, and say so. */
const shownNames = 8;

/** In backticks, shortened where it is long. Control characters are dealt with where it becomes a diagnostic. */
export function quoted(text: string): string {
  return `\`${text.length > 80 ? `${text.slice(0, 79)}…` : text}\``;
}

/** `a`, `a or b`, `one of a, b, c`. */
export function oneOfWords(names: readonly string[]): string {
  return names.length <= 2 ? names.join(' or ') : `one of ${names.join(', ')}`;
}

/** `defined here are a, b, c and 12 more`. */
export function definedHere(names: Iterable<string>, noneOf: string): string {
  const all = [...names].sort();
  if (all.length === 0) return `no ${noneOf} is defined here`;
  const rest = all.length > shownNames ? ` and ${all.length - shownNames} more` : '';
  return `defined here ${all.length === 1 ? 'is' : 'are'} ${all.slice(0, shownNames).join(', ')}${rest}`;
}

/** The one of `candidates` that `text` is most probably a slip of; undefined where none is near. */
export function nearest(text: string, candidates: Iterable<string>): string | undefined {
  // Comparing long texts costs time, and nothing that long is a slip of a name.
  if (text.length > 80) return undefined;
  let best: { name: string; distance: number } | undefined;
  for (const name of candidates) {
    const limit = Math.max(1, Math.floor(Math.min(name.length, text.length) / 3));
    const distance = editDistance(text.toLowerCase(), name.toLowerCase());
    if (distance <= limit && (best === undefined || distance < best.distance)) best = { name, distance };
  }
  return best?.name;
}

/** Insertions, removals, replacements and exchanges of neighbours that turn one text into the other. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const isSame = a[i - 1] === b[j - 1];
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (isSame ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}

/** `organization acme`, `projects shop, billing of organization acme`. */
export function scopeWords({ organization, projects }: Scope): string {
  if (organization === null) return 'everybody';
  if (projects.length === 0) return `organization ${organization}`;
  return `project${projects.length === 1 ? '' : 's'} ${projects.join(', ')} of organization ${organization}`;
}
