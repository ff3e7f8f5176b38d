/** A data directory that is being made: hidden until it is whole, and then there under its name in one step. */
import { constants } from 'node:fs';
import {
  chmod,
  chown,
  copyFile,
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { GranaryError } from '../../model/errors.ts';
import { commandLine, shellWord } from '../../model/shell.ts';
import type { RawFile } from '../opener.ts';
import { partName } from '../stored-part.ts';
import {
  besideTarget,
  cannotWrite,
  type HiddenPlace,
  partialGone,
  partialIn,
  partialName,
  requireRoom,
  syncFolder,
  withinDirectory,
  writeAllAt,
} from '../target.ts';
import { type DatabaseOptions, makeMemberDatabase } from './database.ts';
import { raftSnapshot, raftSnapshotName } from './raft-snapshot.ts';
import { walBytes, walName, walRecords } from './wal.ts';

/** What `mkfs` leaves on a disk of its own. */
const notCounted = 'lost+found';

/** Where a data directory is to be, looked at before anything is downloaded. */
export interface DirectoryPlace {
  /** Absolute. */
  readonly path: string;
  /** The directory is there and empty: it stays, with its owner and mode, and may be a disk of its own. */
  readonly owner: { readonly uid: number; readonly gid: number } | null;
  /** Where it is made. */
  readonly hidden: HiddenPlace;
}

/**
 * Makes sure that a directory is absent or empty and that there is room for a database of so many bytes.
 * @param path absolute
 * @throws GranaryError `target-exists`, `target-unwritable`, `disk-full`
 */
export async function requireDirectoryRoom(path: string, database: number): Promise<DirectoryPlace> {
  const found = await orNull(stat(path), path);
  // A link that leads nowhere.
  if (found === null && (await orNull(lstat(path), path)) !== null) throw await inTheWay(path, undefined);
  const needed = database + walBytes;
  if (found === null) {
    await requireRoom(dirname(path), needed, path);
    return { path, owner: null, hidden: besideTarget(path) };
  }
  const names = found.isDirectory()
    ? await readdir(path).catch((error) => Promise.reject(cannotWrite(error, path)))
    : null;
  const hidden = withinDirectory(path);
  const others = names?.filter((name) => name !== notCounted && !isHidden(name, hidden));
  if (others === undefined || others.length > 0) throw await inTheWay(path, others);
  await requireRoom(path, needed, path);
  const { uid, gid } = found;
  return { path, owner: { uid, gid }, hidden };
}

/** What a restore that ended early has left. */
function isHidden(name: string, { prefix }: HiddenPlace): boolean {
  const rest = name.slice(prefix.length);
  return name.startsWith(prefix) && (partialName.test(rest) || partName.test(rest));
}

async function orNull<T>(looking: Promise<T>, path: string): Promise<T | null> {
  return looking.catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw cannotWrite(error, path);
  });
}

export class DataDirectory implements AsyncDisposable {
  readonly #place: DirectoryPlace;
  /** Becomes the directory, or stands in it and holds what becomes `member`. */
  readonly #partial: string;
  #database: FileHandle | null = null;
  #flushing: Promise<void> = Promise.resolve();

  private constructor(place: DirectoryPlace, partial: string) {
    this.#place = place;
    this.#partial = partial;
  }

  /** @throws GranaryError `target-unwritable`, `disk-full` */
  static async create(place: DirectoryPlace): Promise<DataDirectory> {
    const { path, hidden } = place;
    const directory = new DataDirectory(place, partialIn(hidden));
    try {
      await mkdir(directory.#partial, { mode: 0o700 });
      for (const name of ['.', 'snap', 'wal'])
        await mkdir(directory.#in(name), { mode: 0o700, recursive: true });
      return directory;
    } catch (error) {
      await rm(directory.#partial, { recursive: true, force: true }).catch(() => {});
      throw cannotWrite(error, path);
    }
  }

  /** The empty database, for a snapshot to be received in. */
  async receive(): Promise<RawFile> {
    const { path } = this.#place;
    await this.#writing(async () => {
      this.#database = await open(this.#in('snap/db'), 'wx+', 0o600);
    });
    return {
      fd: this.fd,
      durable: true,
      filled: () => this.#flush(),
      cannotWrite: (error) => cannotWrite(error, path),
    };
  }

  /** Copies the database from a file. The kernel does it, where it can without moving a byte. */
  async copyFrom(file: string): Promise<void> {
    await this.#writing(async () => {
      const path = this.#in('snap/db');
      await copyFile(file, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      await chmod(path, 0o600);
      this.#database = await open(path, 'r+');
      this.#flush();
    });
  }

  /** Bytes of the database so far. */
  async databaseSize(): Promise<number> {
    return (await this.#database?.stat())?.size ?? 0;
  }

  /** The open database, for a reader in another thread. Valid until this is disposed of. */
  get fd(): number {
    if (this.#database === null) throw new GranaryError('internal', 'a data directory without a database');
    return this.#database.fd;
  }

  /**
   * Makes a member of what was received and proven, makes all of it durable, and gives it its name.
   * @param body bytes of the database without trailer
   * @throws GranaryError `target-exists`, `target-unwritable`, `disk-full`, `snapshot-corrupt`
   */
  async publish(body: number, options: DatabaseOptions): Promise<void> {
    await this.#writing(async () => {
      await this.#flushing;
      await this.#database?.truncate(body);
      const size = makeMemberDatabase(this.fd, body, options);
      await this.#database?.truncate(size);
      // The longest part of all is that the disk takes it: begun here, it goes on while the small files are written.
      const flushed = this.#database?.sync();
      await Promise.all([flushed, this.#writeRaft(options)]);
      await this.#appear();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#flushing.catch(() => {});
    await this.#database?.close();
    this.#database = null;
    await rm(this.#partial, { recursive: true, force: true });
  }

  /** While the content is proven. What it failed with is told when it is published, and by nothing else after that. */
  #flush(): void {
    this.#flushing = this.#database?.datasync() ?? Promise.resolve();
    this.#flushing.catch(() => {});
  }

  async #writeRaft({ membership, version }: DatabaseOptions): Promise<void> {
    const snapshot = this.#in(`snap/${raftSnapshotName(membership)}`);
    await writeFile(snapshot, raftSnapshot(membership, version), { flag: 'wx', mode: 0o600, flush: true });
    const wal = await open(this.#in(`wal/${walName}`), 'wx', 0o600);
    try {
      await writeAllAt(wal, walRecords(membership, version), 0);
      await wal.truncate(walBytes);
      await wal.sync();
    } finally {
      await wal.close();
    }
  }

  async #appear(): Promise<void> {
    const { path, owner } = this.#place;
    if (owner !== null) await this.#giveTo(owner);
    for (const name of ['snap', 'wal', '.']) await syncFolder(this.#in(name));
    if (owner === null) {
      // An empty directory that came meanwhile makes way, one with content does not.
      await rename(this.#partial, path);
      await syncFolder(dirname(path));
    } else {
      await rename(this.#in('.'), join(path, 'member'));
      await rm(this.#partial, { recursive: true, force: true });
      await syncFolder(path);
    }
  }

  /** Who may write the directory must be able to open what is in it: etcd seldom runs as root, a restore often does. */
  async #giveTo({ uid, gid }: { readonly uid: number; readonly gid: number }): Promise<void> {
    if (process.getuid?.() !== 0 || (uid === 0 && gid === 0)) return;
    const entries = await readdir(this.#in('.'), { recursive: true });
    for (const name of ['.', ...entries]) await chown(this.#in(name), uid, gid);
  }

  /** A path below `member`. */
  #in(name: string): string {
    return join(this.#partial, 'member', name);
  }

  async #writing(work: () => Promise<void>): Promise<void> {
    const { path } = this.#place;
    try {
      await work();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'ENOTDIR')
        throw await inTheWay(path, undefined);
      if (code === 'ENOENT') await this.#requirePartial();
      throw cannotWrite(error, path);
    }
  }

  /** Whichever of two restores to one target is done first clears away what the other has. */
  async #requirePartial(): Promise<void> {
    const { path, owner } = this.#place;
    const made = owner === null ? path : join(path, 'member');
    if (await isThere(made)) throw await inTheWay(path, owner === null ? undefined : ['member']);
    if (!(await isThere(this.#partial))) throw partialGone(path);
  }
}

async function isThere(path: string): Promise<boolean> {
  return (await orNull(lstat(path), path)) !== null;
}

async function inTheWay(path: string, names: readonly string[] | undefined): Promise<GranaryError> {
  const held = names === undefined ? 'exists already' : `is not empty (${some(names)})`;
  const another = (await isMountPoint(path))
    ? `; this one is a disk of its own and cannot be moved, and ${shellWord(join(path, 'new'))} is on it`
    : `, or move this one away: ${commandLine('mv', path, `${path}.old`)}`;
  return new GranaryError('target-exists', `${path} ${held} and is left as it is`, {
    hint: `name a directory that does not exist or is empty${another}`,
    context: { path },
  });
}

/** `mv` answers there that the device is busy. */
async function isMountPoint(path: string): Promise<boolean> {
  try {
    const [own, above] = [await lstat(path), await lstat(dirname(path))];
    return own.isDirectory() && (own.dev !== above.dev || own.ino === above.ino);
  } catch {
    return false;
  }
}

function some(names: readonly string[]): string {
  return names.length <= 3
    ? names.join(', ')
    : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`;
}
