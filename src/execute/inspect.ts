import { open } from 'node:fs/promises';
import { type ReadOptions, readBackup } from '../backup/read.ts';
import { Spool } from '../backup/spool.ts';
import type { DatabaseReport } from '../bolt/report.ts';
import { analyseInWorker } from '../bolt/worker-client.ts';
import type { FoundBackup } from '../catalog/find.ts';
import { GranaryError } from '../model/errors.ts';
import type { CallOptions } from '../store/store.ts';

/**
 * Reads a snapshot file, and compares its trailer with its bytes.
 * @throws GranaryError `file-unreadable`; what is wrong with the content stands in the report
 */
export async function inspectFile(file: string, { signal }: CallOptions): Promise<DatabaseReport> {
  let handle: Awaited<ReturnType<typeof open>>;
  try {
    handle = await open(file, 'r');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'does not exist' : `cannot be read: ${message}`;
    throw new GranaryError('file-unreadable', `${file} ${why}`, {
      hint: 'name a snapshot file, or a backup as SEED/CLUSTER/POLICY/SLOT',
      cause: error,
    });
  }
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) {
      throw new GranaryError('file-unreadable', `${file} is not a file`, { hint: 'name a snapshot file' });
    }
    const { size } = stats;
    return await analyseInWorker(handle.fd, size, { digest: true }, { signal });
  } finally {
    await handle.close();
  }
}

/** As `inspectFile`, for the first copy of a backup that can be read. */
export async function inspectBackup(found: FoundBackup, options: ReadOptions): Promise<DatabaseReport> {
  let failure: unknown;
  for (const { destination: name, store } of found.copies) {
    await using spool = await Spool.create();
    try {
      await readBackup(found.manifest, { name, store }, (bytes) => spool.append(bytes), options);
      await spool.end();
      return await analyseInWorker(spool.fd, spool.size, { digest: true }, options);
    } catch (error) {
      options.signal.throwIfAborted();
      failure ??= error;
    }
  }
  throw failure;
}
