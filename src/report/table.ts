/** Tables that fit the terminal. */
import { padEnd, padStart, printable, shorten, textWidth } from './text.ts';

export interface Column {
  readonly title: string;
  /** Default `left`; numbers stand right. */
  readonly align?: 'left' | 'right';
  /** The least width that this column is cut to where the table is too wide; without it the column is never cut. */
  readonly least?: number;
}

export interface TableOptions {
  /** Columns of the terminal. */
  readonly width: number;
  /** How many rows are shown at most; default: all. */
  readonly limit?: number | undefined;
  /** How to see the others, for the note below the table: `--all for the rest`. */
  readonly more?: string | undefined;
}

const gap = 2;

/**
 * A table with titles, one line a row. Where it is too wide, the widest columns that may be cut are; where columns that
 * may not be cut take more than the width, lines are longer than it. Rows above the limit are counted in a last line.
 * Cells are text from outside: control characters in them are made visible.
 */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  options: TableOptions,
): string {
  const shown = rows
    .slice(0, options.limit ?? rows.length)
    .map((row) => columns.map((_, index) => printable(row[index] ?? '')));
  const widths = columnWidths(columns, shown, options.width);
  const lines = [columns.map(({ title }) => title), ...shown].map((cells) =>
    cells
      .map((cell, index) => {
        const width = widths[index] ?? 0;
        const cut = shorten(cell, width);
        return columns[index]?.align === 'right' ? padStart(cut, width) : padEnd(cut, width);
      })
      .join(' '.repeat(gap))
      .trimEnd(),
  );
  const hidden = rows.length - shown.length;
  if (hidden > 0) lines.push(`… ${hidden} more${options.more === undefined ? '' : `; ${options.more}`}`);
  return lines.join('\n');
}

function columnWidths(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  available: number,
): readonly number[] {
  const widths = columns.map(({ title }, index) =>
    rows.reduce((widest, row) => Math.max(widest, textWidth(row[index] ?? '')), textWidth(title)),
  );
  let excess = widths.reduce((sum, width) => sum + width, 0) + gap * (columns.length - 1) - available;
  while (excess > 0) {
    const index = widestCuttable(columns, widths);
    if (index === undefined) break;
    widths[index] = (widths[index] ?? 0) - 1;
    excess -= 1;
  }
  return widths;
}

function widestCuttable(columns: readonly Column[], widths: readonly number[]): number | undefined {
  let found: number | undefined;
  columns.forEach(({ least }, index) => {
    const width = widths[index] ?? 0;
    if (least !== undefined && width > least && width > (widths[found ?? -1] ?? -1)) found = index;
  });
  return found;
}
