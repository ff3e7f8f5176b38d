import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atExit } from './at-exit.ts';

export interface TempFolder extends Disposable, AsyncDisposable {
  readonly path: string;
  /** A path inside. */
  join(...parts: string[]): string;
  remove(): void;
}

const open = new Set<string>();
let guarded = false;

/** A fresh folder that goes with all it holds: with `using`, by `remove()`, or at the latest when the process ends. */
export function tempFolder(label = 'test'): TempFolder {
  const path = mkdtempSync(join(tmpdir(), `granary-${label}-`));
  open.add(path);
  if (!guarded) {
    guarded = true;
    atExit(() => {
      for (const folder of open) removeFolder(folder);
    });
  }
  const remove = () => {
    open.delete(path);
    removeFolder(path);
  };
  return {
    path,
    join: (...parts) => join(path, ...parts),
    remove,
    [Symbol.dispose]: remove,
    [Symbol.asyncDispose]: async () => remove(),
  };
}

function removeFolder(path: string): void {
  // Servers that are just ending may still write: rmSync tries again while the folder is not empty.
  rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}
