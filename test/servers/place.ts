import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/**
 * Makes `folder/bin` appear whole or not at all. `make` fills `bin` and may use `scratch` for what is not kept.
 * Where another run was faster its folder stays and this one's is dropped.
 */
export async function placeWhole(
  folder: string,
  make: (scratch: string, bin: string) => Promise<void>,
): Promise<void> {
  mkdirSync(dirname(folder), { recursive: true });
  const work = mkdtempSync(join(dirname(folder), `.${basename(folder)}-`));
  try {
    const whole = join(work, 'whole');
    const bin = join(whole, 'bin');
    const scratch = join(work, 'scratch');
    mkdirSync(bin, { recursive: true });
    mkdirSync(scratch);
    await make(scratch, bin);
    try {
      renameSync(whole, folder);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
