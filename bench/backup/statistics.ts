export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Of at least one number. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const at = (index: number) => sorted[index] ?? Number.NaN;
  const median = Number.isInteger(middle) ? (at(middle - 1) + at(middle)) / 2 : at(Math.floor(middle));
  return { median, min: at(0), max: at(sorted.length - 1) };
}

/**
 * How many times as long as `base` a row took, round by round: what slowed the machine down in one round slowed both
 * down, and a ratio of the medians would not know that.
 */
export function ratios(row: readonly number[], base: readonly number[]): Spread {
  return spreadOf(row.map((value, round) => value / (base[round] ?? Number.NaN)));
}
