/** What a migration changes, and what is left to do. */
import { counted, paint, printable, type TextOptions, wrap } from './text.ts';
import { type ChangedFile, unifiedDiff } from './unified-diff.ts';

export interface MigrationReport {
  readonly files: readonly ChangedFile[];
  readonly notes: readonly string[];
  readonly steps: readonly string[];
  /** What to type, in the order in which to do it. */
  readonly next: readonly string[];
  /** false: this is what would be written. */
  readonly written: boolean;
  /** Where the files belong, absolute; null: nobody has said so. */
  readonly folder: string | null;
  /** The same as somebody typed it; null also where it is the current folder. */
  readonly place: string | null;
}

/** Differences, or the names of what was written; then what is worth knowing, and numbered what is left to do. */
export function migrationText(report: MigrationReport, { width, color }: TextOptions): string {
  const { files, notes, steps, next, written, place } = report;
  if (files.length === 0) return 'Nothing to migrate: no seed has `backup:`.';
  const blocks = [written ? names(files, place) : differences(files, color)];
  const items = (lines: readonly string[], mark: (index: number) => string) =>
    lines.flatMap((line, index) => item(line, mark(index), width)).join('\n');
  if (notes.length > 0) blocks.push(`Note:\n${items(notes, () => '-')}`);
  if (steps.length > 0)
    blocks.push(
      `Left to do${place === null ? '' : `, in ${printable(place)}`}:\n${items(steps, (index) => `${index + 1}.`)}`,
    );
  blocks.push(summary(files, written));
  if (next.length > 0) blocks.push(`Next:\n${next.map((command) => `  ${command}`).join('\n')}`);
  return blocks.join('\n\n');
}

/** `{written, folder, files: [{path, change, text}], notes, steps, next, diff}`. */
export function migrationJson({ files, notes, steps, next, written, folder }: MigrationReport): string {
  const all = files.map(({ path, before, after }) => ({
    path,
    change: before === null ? 'add' : 'change',
    text: after,
  }));
  const diff = files.map(unifiedDiff).join('');
  return JSON.stringify({ written, folder, files: all, notes, steps, next, diff }, null, 2);
}

function differences(files: readonly ChangedFile[], color: boolean | undefined): string {
  const lines = files.flatMap((file) => unifiedDiff(file).split('\n').slice(0, -1));
  return lines.map((line) => coloured(visible(line), color)).join('\n');
}

/** Tabs and line ends of Windows are part of a file that can be shown; nothing else of the kind is. */
function visible(line: string): string {
  const end = line.endsWith('\r') ? '\r' : '';
  return (
    line
      .slice(0, line.length - end.length)
      .split('\t')
      .map(printable)
      .join('\t') + end
  );
}

function coloured(line: string, color: boolean | undefined): string {
  if (line.startsWith('--- ') || line.startsWith('+++ ')) return paint('bold', line, color);
  if (line.startsWith('@@')) return paint('cyan', line, color);
  if (line.startsWith('+')) return paint('green', line, color);
  return line.startsWith('-') ? paint('red', line, color) : line;
}

function names(files: readonly ChangedFile[], place: string | null): string {
  const lines = files.map(({ path, before }) => `  ${before === null ? '+' : '~'} ${path}`);
  return [place === null ? 'Written:' : `Written into ${printable(place)}:`, ...lines].join('\n');
}

/** The first line is broken at blanks; further ones are commands, and stay whole. */
function item(text: string, mark: string, width: number): string[] {
  const [first = '', ...commands] = text.split('\n').map(printable);
  const indent = ' '.repeat(mark.length + 3);
  const lines = wrap(first, Math.max(30, width - indent.length));
  return [
    ...lines.map((line, index) => (index === 0 ? `  ${mark} ${line}` : `${indent}${line}`)),
    ...commands.map((command) => `${indent}${command}`),
  ];
}

function summary(files: readonly ChangedFile[], written: boolean): string {
  const added = files.filter(({ before }) => before === null).length;
  const changed = files.length - added;
  const parts = [
    ...(changed > 0 ? [`${counted(changed, 'file')} ${written ? 'changed' : 'to change'}`] : []),
    ...(added > 0 ? [`${counted(added, 'file')} ${written ? 'added' : 'to add'}`] : []),
  ];
  return `${parts.join(', ')}.${written ? '' : ' Nothing is written yet.'}`;
}
