/** A backup back into a file, a stream or a data directory: whole and proven, or not there at all. */
import { resolve } from 'node:path';
import type { DatabaseReport } from '../bolt/report.ts';
import { bodySize } from '../bolt/trailer.ts';
import type { FoundCopy } from '../catalog/candidates.ts';
import { byManifest, type FoundBackup } from '../catalog/find.ts';
import { asGranaryError, GranaryError, isGranaryError } from '../model/errors.ts';
import type { Manifest } from '../model/generated/manifest.ts';
import { formatBytes } from '../model/units.ts';
import { DataDirectory, requireDirectoryRoom } from './data-directory/directory.ts';
import type { Membership } from './data-directory/membership.ts';
import type { EtcdMinor } from './data-directory/version.ts';
import { leftoversOf, leftoverWarning, removeLeftovers } from './leftovers.ts';
import type { RawFile } from './opener.ts';
import {
  type Bump,
  bumpTarget,
  defaultQuota,
  type Note,
  notesAbout,
  requireNotTooOld,
  targetVersion,
} from './preflight.ts';
import { type ReadOptions, readAndCheck } from './read.ts';
import { requireFreeDisk, Spool } from './spool.ts';
import { StoredPart } from './stored-part.ts';
import { besideTarget, type HiddenPlace } from './target.ts';
import { requireFileRoom, TargetFile } from './target-file.ts';

/** Where the snapshot goes. */
export type RestoreTarget =
  | { readonly type: 'file'; readonly path: string }
  | { readonly type: 'stream'; readonly write: (bytes: AsyncIterable<Uint8Array>) => Promise<void> }
  | ({ readonly type: 'directory'; readonly path: string } & MemberOptions);

/** What a data directory is made for. */
export interface MemberOptions {
  readonly membership: Membership;
  /** The etcd that is to run on it; null: the one that the snapshot is of. */
  readonly etcdVersion: EtcdMinor | null;
  readonly bump: Bump;
  /** Bytes, as etcd will be started with. */
  readonly quota: number;
}

export interface Restored {
  /** What the snapshot was compared with: that of the copy that was read; null: it was a file. */
  readonly manifest: Manifest | null;
  /** Of the snapshot, hash trailer included. */
  readonly bytes: number;
  /** The destination whose copy was read; null: it was a file. */
  readonly destination: string | null;
  readonly report: DatabaseReport;
  /** What to know before a cluster runs on it. */
  readonly notes: readonly Note[];
  /** Of a data directory: the revision that it begins anew at; null: none. */
  readonly bumpedTo: number | null;
  /** Copies that were tried before and could not be used. */
  readonly failed: readonly { readonly destination: string; readonly error: GranaryError }[];
}

/**
 * Restores one backup. A file or directory must not exist, or be an empty directory; what is written stands under a
 * hidden name first. Only when every byte of it is what the manifest says, and the database in it is sound, does it
 * appear under its own, or is its first byte written to a stream. A copy that cannot be read or is damaged is passed
 * over for the next one. Where the stores cannot be reached, or the signal ends it, the stored bytes that had come stay
 * beside the target, and a later call goes on there (`StoredPart`); nothing of a stream is kept.
 * @throws GranaryError `target-exists`, `target-unwritable`, `disk-full`, `backup-damaged`, `age-key-missing`,
 *   `age-key-wrong`, `etcd-too-old`, `interrupted`
 */
export async function restore(
  found: FoundBackup,
  target: RestoreTarget,
  options: ReadOptions,
): Promise<Restored> {
  const failed: Restored['failed'][number][] = [];
  for (const one of byManifest(found)) {
    try {
      const restored = await restoreByManifest(one, target, options);
      return { ...restored, failed: [...failed, ...restored.failed] };
    } catch (thrown) {
      const error = asGranaryError(thrown);
      // One that was interrupted says how to go on.
      if (options.signal.aborted || !concernsCopyOnly(error)) throw thrown;
      // Whatever was left to go on with is of these copies.
      failed.push(...one.copies.map(({ destination }) => ({ destination, error })));
    }
  }
  throw firstOf(failed);
}

async function restoreByManifest(
  found: FoundBackup,
  target: RestoreTarget,
  options: ReadOptions,
): Promise<Restored> {
  const way = await prepare(found, target, options);
  const { hidden } = way;
  const { manifest } = found;
  const part = hidden === null ? null : await StoredPart.open(hidden, manifest, manifest.snapshot.size);
  let keep = true;
  try {
    const left = hidden === null ? null : leftoverWarning(await leftoversOf(hidden), part?.path ?? null);
    if (left !== null) options.onProgress?.({ type: 'warning', message: left });
    const { copy, report, bumpedTo, failed } = await fromCopies(found.copies, way, part, options);
    keep = false;
    const notes = notesAbout(report, notesOptions(found, target, report));
    const { destination } = copy;
    return { manifest, bytes: manifest.snapshot.size, destination, report, notes, bumpedTo, failed };
  } catch (error) {
    throw part === null || part.size === 0 ? error : goesOn(error, part, manifest.data.storedBytes);
  } finally {
    await part?.close(keep);
    if (!keep && hidden !== null) await removeLeftovers(hidden);
  }
}

/** From the first copy that serves. What is kept afterwards is only what a later call can go on with. */
async function fromCopies(
  copies: readonly FoundCopy[],
  { restoreCopy }: Way,
  part: StoredPart | null,
  options: ReadOptions,
) {
  const warn = (message: string) => options.onProgress?.({ type: 'warning', message });
  const failed: { destination: string; error: GranaryError }[] = [];
  for (const copy of copies) {
    try {
      const restored = await restoreCopy(copy, part).catch(async (error) => {
        if (!part?.inherited || !isGranaryError(error, 'backup-damaged')) throw error;
        warn(
          `what was left in ${part.path} is not what is stored, and is read again from ${copy.destination}`,
        );
        await part.clear();
        return restoreCopy(copy, part);
      });
      return { copy, failed, ...restored };
    } catch (thrown) {
      options.signal.throwIfAborted();
      const error = asGranaryError(thrown);
      if (error.kind !== 'retry') await part?.clear();
      if (!concernsCopyOnly(error)) throw error;
      failed.push({ destination: copy.destination, error });
      // Of the only copy it is the error itself.
      if (copies.length > 1) warn(error.message);
    }
  }
  throw firstOf(failed);
}

/** Why no copy served. */
function firstOf([first]: Restored['failed']): GranaryError {
  return first?.error ?? new GranaryError('backup-not-found', 'this backup has no copy that could be read');
}

/** The same error, saying what stays and for what. */
function goesOn(thrown: unknown, { path, size }: StoredPart, total: number): GranaryError {
  const error = asGranaryError(thrown);
  const how = `the same command goes on from what was read, ${formatBytes(size)} of ${formatBytes(total)}, which stays in ${path}`;
  const isAlone = error.hint === undefined || error.code === 'interrupted';
  return error.withHint(isAlone ? how : `${error.hint}; ${how}`, { kept: path });
}

/** What another copy may not suffer from. A wrong key, a full disk or a target in the way are the same for all. */
export function concernsCopyOnly(error: unknown): boolean {
  return !isGranaryError(
    error,
    'age-key-missing',
    'age-key-wrong',
    'disk-full',
    'target-exists',
    'target-unwritable',
    'etcd-too-old',
    'interrupted',
    'internal',
  );
}

/** What is to be done with each copy until one serves, and where hidden files stand meanwhile; null: there are none. */
interface Way {
  readonly hidden: HiddenPlace | null;
  readonly restoreCopy: (
    copy: FoundCopy,
    part: StoredPart | null,
  ) => Promise<Pick<Restored, 'report' | 'bumpedTo'>>;
}

/** Looks at the target before anything is downloaded. */
async function prepare(found: FoundBackup, target: RestoreTarget, options: ReadOptions): Promise<Way> {
  const { manifest } = found;
  const { size } = manifest.snapshot;
  /** Receives the snapshot, and proves what is there then. */
  const receive = ({ destination, store }: FoundCopy, into: RawFile, part: StoredPart | null) =>
    readAndCheck(manifest, { name: destination, store }, into, { ...options, part, survey: true });
  switch (target.type) {
    case 'file': {
      const path = resolve(target.path);
      await requireFileRoom(path, size);
      const restoreCopy: Way['restoreCopy'] = async (copy, part) => {
        await using file = await TargetFile.create(path);
        const report = await receive(copy, file, part);
        await file.publish();
        return { report, bumpedTo: null };
      };
      return { hidden: besideTarget(path), restoreCopy };
    }
    case 'stream': {
      await requireFreeDisk(size, undefined);
      const restoreCopy: Way['restoreCopy'] = async (copy) => {
        await using spool = await Spool.create(undefined);
        const report = await receive(copy, spool.rawFile, null);
        await target.write(contentOf(spool, options.signal));
        return { report, bumpedTo: null };
      };
      return { hidden: null, restoreCopy };
    }
    case 'directory': {
      const { membership, etcdVersion } = target;
      requireNotTooOld(etcdVersion, manifest.etcd.version);
      const place = await requireDirectoryRoom(resolve(target.path), size);
      const restoreCopy: Way['restoreCopy'] = async (copy, part) => {
        await using directory = await DataDirectory.create(place);
        const report = await receive(copy, await directory.receive(), part);
        const version = targetVersion(etcdVersion, manifest.etcd.version, report);
        const bumpedTo = bumpTarget(report, target.bump);
        options.signal.throwIfAborted();
        await directory.publish(bodySize(size), { membership, version, bumpTo: bumpedTo });
        return { report, bumpedTo };
      };
      return { hidden: place.hidden, restoreCopy };
    }
  }
}

function notesOptions({ manifest }: FoundBackup, target: RestoreTarget, report: DatabaseReport) {
  if (target.type !== 'directory') return { bump: 'off', quota: defaultQuota, version: null } as const;
  const { etcdVersion, bump, quota } = target;
  return { bump, quota, version: targetVersion(etcdVersion, manifest.etcd.version, report) };
}

const pieceBytes = 1 << 20;

async function* contentOf(spool: Spool, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for (let offset = 0; ; ) {
    const piece = await spool.read(offset, pieceBytes, { signal });
    if (piece.length === 0) return;
    offset += piece.length;
    yield piece;
  }
}
