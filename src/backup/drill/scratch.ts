/**
 * The folder of a drill. It holds every secret of a cluster in plain text, and etcd must find it by its name: so it is
 * open to nobody else, and what a drill that was killed left behind is removed by the next one.
 */
import { lstat, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GranaryError } from '../../model/errors.ts';
import { formatBytes } from '../../model/units.ts';
import { walBytes } from '../data-directory/wal.ts';
import { isAlive, markOf, type ProcessMark } from '../processes.ts';
import { requireFreeDisk } from '../spool.ts';
import { cannotWrite } from '../target.ts';

const folderName = /^granary-drill-[0-9a-f-]{36}$/;
const [ownerFile, etcdFile] = ['owner.json', 'etcd.json'];
/** A folder without a word of who made it: whoever did has just begun, or was killed right there. */
const unsignedMs = 60_000;

/**
 * What a drill of a database of so many bytes takes: etcd lays out its next log beside the first, and writes a little
 * into the database.
 */
function drillBytes(database: number): number {
  return Math.ceil(database * 1.1) + 3 * walBytes;
}

/** Where drills are made unless somebody says otherwise. */
export function scratchIn(folder: string | undefined): string {
  return folder ?? tmpdir();
}

export class ScratchFolder implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * Makes it, where there is room and no other drill runs.
   * @param parent the folder that it is made in
   * @param database bytes that it is to hold, as the manifest says
   * @param spare bytes that must be left beside what the drill takes
   * @throws GranaryError `disk-full`, `drill-running`, `target-unwritable`
   */
  static async create(parent: string, database: number, spare = 0): Promise<ScratchFolder> {
    const bytes = drillBytes(database) + spare;
    const other = await clearLeftovers(parent);
    if (other !== null) throw running(other, parent);
    await requireFreeDisk(bytes, parent).catch((error: unknown) => {
      throw error instanceof GranaryError && error.code === 'disk-full'
        ? noRoom(error, parent, bytes, database)
        : error;
    });
    const folder = new ScratchFolder(join(parent, `granary-drill-${crypto.randomUUID()}`));
    try {
      await mkdir(folder.path, { mode: 0o700 });
      await folder.write(ownerFile, JSON.stringify(await markOf(process.pid)));
      return folder;
    } catch (error) {
      await folder[Symbol.asyncDispose]();
      throw cannotWrite(error, folder.path);
    }
  }

  in(name: string): string {
    return join(this.path, name);
  }

  /** A file that only this user can read. Gives its path. */
  async write(name: string, text: string): Promise<string> {
    await writeFile(this.in(name), text, { mode: 0o600 });
    return this.in(name);
  }

  /** Remembers whom to end, should this process be killed. */
  async noteEtcd(pid: number): Promise<void> {
    await this.write(etcdFile, JSON.stringify(await markOf(pid)));
  }

  /** Whatever is in it must have ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true, maxRetries: 3 });
  }
}

/**
 * Removes what killed drills of this user have left in a folder, and ends the etcd that they have left running.
 * @returns a drill that runs there now; null: none
 */
export async function clearLeftovers(parent: string): Promise<ProcessMark | null> {
  let other: ProcessMark | null = null;
  const names = await readdir(parent).catch(() => []);
  for (const name of names.filter((one) => folderName.test(one))) {
    const path = join(parent, name);
    // In a folder that everybody may write to somebody else may have made a link of that name, to anything of this user.
    const found = await lstat(path).catch(() => null);
    if (found?.isDirectory() !== true || (process.getuid !== undefined && found.uid !== process.getuid()))
      continue;
    const owner = await readMark(join(path, ownerFile));
    if (owner === null && Date.now() - found.mtimeMs < unsignedMs) continue;
    if (owner !== null && (await isAlive(owner))) {
      other = owner;
      continue;
    }
    const etcd = await readMark(join(path, etcdFile));
    if (etcd !== null && (await isAlive(etcd))) process.kill(etcd.pid, 'SIGKILL');
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
  }
  return other;
}

async function readMark(path: string): Promise<ProcessMark | null> {
  try {
    const { pid, started } = JSON.parse(await readFile(path, 'utf8')) as Partial<ProcessMark>;
    return Number.isInteger(pid) && typeof started === 'string' ? ({ pid, started } as ProcessMark) : null;
  } catch {
    return null;
  }
}

function running({ pid }: ProcessMark, parent: string): GranaryError {
  return new GranaryError('drill-running', `another drill runs in ${parent} (pid ${pid})`, {
    hint: 'wait for its end, or name another folder with --scratch',
    context: { pid, folder: parent },
  });
}

function noRoom(
  { context, cause }: GranaryError,
  parent: string,
  bytes: number,
  database: number,
): GranaryError {
  const free = formatBytes(Number(context.free ?? 0));
  return new GranaryError(
    'disk-full',
    `${parent} has ${free} free, and a drill needs ${formatBytes(bytes)} there for the ${formatBytes(database)} of database that the manifest names`,
    { hint: 'free some space, or name a folder on a larger disk with --scratch', cause, context },
  );
}
