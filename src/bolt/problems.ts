/** What is wrong with a database file: told, never thrown, so that one look shows all of it. */

export interface Problem {
  /** The page it was found on; null where no page is meant. */
  readonly page: number | null;
  readonly message: string;
}

/** How many problems are kept word for word. A ruined file can have millions; the rest are only counted. */
export const maxListedProblems = 100;

/** Collects problems in bounded memory. */
export class ProblemList {
  readonly listed: Problem[] = [];
  #count = 0;

  /** All that were added, listed or not. */
  get count(): number {
    return this.#count;
  }

  add(page: number | null, message: string): void {
    this.#count += 1;
    if (this.listed.length < maxListedProblems) this.listed.push({ page, message });
  }
}

/** The first problem, where it is, and how many more there are; null where there is none. */
export function problemsInBrief(report: {
  readonly problems: readonly Problem[];
  readonly problemCount: number;
}): string | null {
  const [first] = report.problems;
  if (first === undefined) return null;
  const where = first.page === null ? '' : ` (page ${first.page})`;
  const more = report.problemCount > 1 ? `, and ${report.problemCount - 1} more` : '';
  return `${first.message}${where}${more}`;
}
