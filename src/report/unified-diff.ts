/** What changes in files, as `diff --unified` writes it and `git apply` reads it. */

export interface ChangedFile {
  readonly path: string;
  /** null: it is new. */
  readonly before: string | null;
  readonly after: string;
}

/** Lines that stay, shown around what changes. */
const context = 3;

type Line = { readonly sign: ' ' | '-' | '+'; readonly text: string };

/** The whole difference of a file; line ends within it are those of the file. */
export function unifiedDiff({ path, before, after }: ChangedFile): string {
  const head = [before === null ? '--- /dev/null' : `--- a/${path}`, `+++ b/${path}`];
  const lines = compared(linesOf(before ?? ''), linesOf(after));
  return [...head, ...hunks(lines)].map((line) => `${line}\n`).join('');
}

/** With their line ends, so that a last line without one differs from one with it. */
function linesOf(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

/** The longest common lines stay; between them what goes stands before what comes. */
function compared(before: readonly string[], after: readonly string[]): Line[] {
  let start = 0;
  while (start < before.length && before[start] === after[start] && start < after.length) start += 1;
  let end = 0;
  const shorter = Math.min(before.length, after.length) - start;
  while (end < shorter && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  const line = (sign: Line['sign']) => (text: string) => ({ sign, text });
  return [
    ...before.slice(0, start).map(line(' ')),
    ...middle(before.slice(start, before.length - end), after.slice(start, after.length - end)),
    ...before.slice(before.length - end).map(line(' ')),
  ];
}

/** By the table of the longest common subsequence; what is left here are a few lines, or a file that is all new. */
function middle(before: readonly string[], after: readonly string[]): Line[] {
  const gone = before.map((text): Line => ({ sign: '-', text }));
  const come = after.map((text): Line => ({ sign: '+', text }));
  if (before.length * after.length === 0 || before.length * after.length > 4_000_000)
    return [...gone, ...come];
  const width = after.length + 1;
  const longest = new Uint32Array((before.length + 1) * width);
  const at = (i: number, j: number) => longest[i * width + j] ?? 0;
  for (let i = before.length - 1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      longest[i * width + j] =
        before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: Line[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length || j < after.length) {
    const [old, fresh] = [before[i], after[j]];
    if (old !== undefined && old === fresh) {
      lines.push({ sign: ' ', text: old });
      i += 1;
      j += 1;
    } else if (old !== undefined && (fresh === undefined || at(i + 1, j) >= at(i, j + 1))) {
      lines.push({ sign: '-', text: old });
      i += 1;
    } else {
      lines.push({ sign: '+', text: fresh ?? '' });
      j += 1;
    }
  }
  return lines;
}

function hunks(lines: readonly Line[]): string[] {
  const changed = lines.flatMap(({ sign }, index) => (sign === ' ' ? [] : [index]));
  const result: string[] = [];
  for (let next = 0; next < changed.length; ) {
    const first = changed[next] ?? 0;
    let last = first;
    // Changes whose surroundings would touch share a hunk.
    while (next < changed.length && (changed[next] ?? 0) - last <= 2 * context) {
      last = changed[next] ?? 0;
      next += 1;
    }
    const from = Math.max(0, first - context);
    result.push(...hunk(lines, from, Math.min(lines.length, last + context + 1)));
  }
  return result;
}

function hunk(lines: readonly Line[], from: number, to: number): string[] {
  const count = (part: readonly Line[], other: '-' | '+') => part.filter(({ sign }) => sign !== other).length;
  const [above, shown] = [lines.slice(0, from), lines.slice(from, to)];
  const range = (other: '-' | '+') => {
    const length = count(shown, other);
    return `${count(above, other) + (length === 0 ? 0 : 1)},${length}`;
  };
  return [
    `@@ -${range('+')} +${range('-')} @@`,
    ...shown.flatMap(({ sign, text }) =>
      text.endsWith('\n')
        ? [`${sign}${text.slice(0, -1)}`]
        : [`${sign}${text}`, '\\ No newline at end of file'],
    ),
  ];
}
