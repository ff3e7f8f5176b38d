/** A small disk of its own: a tmpfs, which takes root to mount. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { atExit } from '../servers/at-exit.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';

export class SmallDisk implements Disposable {
  readonly path: string;
  readonly #folder: TempFolder;
  #mounted = true;

  /** @param mebibytes its size */
  constructor(mebibytes: number) {
    this.#folder = tempFolder('disk');
    this.path = this.#folder.join('disk');
    mkdirSync(this.path);
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', this.path], { stdio: 'pipe' });
    atExit(() => this.#unmount());
  }

  /** Takes all the room there is. */
  fill(): void {
    const { bavail, bsize } = statfsSync(this.path);
    try {
      writeFileSync(join(this.path, 'fill'), Buffer.alloc(bavail * bsize + bsize));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }

  makeReadOnly(): void {
    execFileSync('mount', ['-o', 'remount,ro', this.path], { stdio: 'pipe' });
  }

  [Symbol.dispose](): void {
    this.#unmount();
    this.#folder.remove();
  }

  #unmount(): void {
    if (!this.#mounted) return;
    this.#mounted = false;
    // Lazy: a process that was killed may still hold a file.
    execFileSync('umount', ['--lazy', this.path], { stdio: 'pipe' });
  }
}

/** Why no small disk can be had here; null where one can. */
export function whyNoSmallDisk(): string | null {
  try {
    new SmallDisk(1)[Symbol.dispose]();
    return null;
  } catch (error) {
    return `a tmpfs cannot be mounted: ${(error as Error).message.split('\n').at(-1)}`;
  }
}
