/** What a migration comes to: files to write, and what is left for a person to do. Nothing here touches a disk. */

/** One file, before and after. Paths have `/` between folders and are relative to the folder that is written to. */
export interface MigratedFile {
  readonly path: string;
  /** null: it is new, and must not be there. */
  readonly before: string | null;
  readonly after: string;
}

export interface Migration {
  readonly files: readonly MigratedFile[];
  /** What was done in a way that somebody might not expect, one sentence each. */
  readonly notes: readonly string[];
  /** What only a person can do, in the order in which to do it. */
  readonly steps: readonly string[];
}

export const nothingToMigrate: Migration = { files: [], notes: [], steps: [] };

/** One migration after the other. */
export function joined(migrations: readonly Migration[]): Migration {
  return {
    files: migrations.flatMap(({ files }) => files),
    notes: migrations.flatMap(({ notes }) => notes),
    steps: migrations.flatMap(({ steps }) => steps),
  };
}
