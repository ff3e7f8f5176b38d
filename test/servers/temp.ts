import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TempFolder extends Disposable, AsyncDisposable {
  readonly path: string;
  /** A path inside. */
  join(...parts: string[]): string;
  remove(): void;
}

const open = new Set<string>();
let atExit = false;

/** A fresh folder that goes with all it holds: with `using`, by `remove()`, or at the latest when the process ends. */
export function tempFolder(label = 'test'): TempFolder {
  const path = mkdtempSync(join(tmpdir(), `granary-${label}-`));
  open.add(path);
  if (!atExit) {
    atExit = true;
    process.on('exit', () => {
      for (const folder of open) rmSync(folder, { recursive: true, force: true });
    });
  }
  const remove = () => {
    open.delete(path);
    // Servers that are just ending may still write: rmSync tries again while the folder is not empty.
    rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  };
  return {
    path,
    join: (...parts) => join(path, ...parts),
    remove,
    [Symbol.dispose]: remove,
    [Symbol.asyncDispose]: async () => remove(),
  };
}
