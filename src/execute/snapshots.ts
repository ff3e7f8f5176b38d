/** Databases to look into: a file as it lies there, or a backup read back into a nameless file. */
import { type ReadOptions, readBackup } from '../backup/read.ts';
import { openDatabaseFile } from '../backup/snapshot-file.ts';
import { requireFreeDisk, Spool } from '../backup/spool.ts';
import type { FoundBackup } from '../catalog/find.ts';
import type { CallOptions } from '../store/store.ts';

const fileHint = 'name a snapshot file, `-` for what is piped in, or a backup as SEED/CLUSTER/POLICY/SLOT';

/** Open until it is disposed of. */
export interface OpenSnapshot extends AsyncDisposable {
  readonly fd: number;
  readonly size: number;
}

/**
 * A snapshot file, or any other database of etcd that no server has open. Nothing of it is checked.
 * @throws GranaryError `file-unreadable`
 */
export async function openSnapshotFile(file: string): Promise<OpenSnapshot> {
  const handle = await openDatabaseFile(file, fileHint);
  const { size } = await handle.stat();
  return { fd: handle.fd, size, [Symbol.asyncDispose]: () => handle.close() };
}

/** What is piped in, read into a file without a name first, since a database is not read in one go. */
export async function openPiped(
  stream: AsyncIterable<Uint8Array>,
  { signal }: CallOptions,
): Promise<OpenSnapshot> {
  await using stack = new AsyncDisposableStack();
  const spool = stack.use(await Spool.create());
  for await (const bytes of stream) {
    signal.throwIfAborted();
    await spool.append(bytes);
  }
  await spool.end();
  return { fd: spool.fd, size: spool.size, ...moved(stack) };
}

/**
 * The snapshot of a backup, from the first copy that can be read: every byte of it is what the manifest says.
 * @throws GranaryError `disk-full`; what reading the first copy failed with, where none can be read
 */
export async function openBackup(found: FoundBackup, options: ReadOptions): Promise<OpenSnapshot> {
  let failure: unknown;
  await requireFreeDisk(found.manifest.snapshot.size);
  for (const { destination: name, store, otherManifest } of found.copies) {
    await using stack = new AsyncDisposableStack();
    const spool = stack.use(await Spool.create());
    try {
      await readBackup(otherManifest ?? found.manifest, { name, store }, spool.rawFile, options);
      return { fd: spool.fd, size: spool.size, ...moved(stack) };
    } catch (error) {
      options.signal.throwIfAborted();
      failure ??= error;
    }
  }
  throw failure;
}

/** What was opened, for a caller who disposes of it. */
function moved(stack: AsyncDisposableStack): AsyncDisposable {
  const opened = stack.move();
  return { [Symbol.asyncDispose]: () => opened.disposeAsync() };
}
