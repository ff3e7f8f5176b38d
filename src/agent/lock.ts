/**
 * One agent for each state folder. A file says whose it is: pid and start time, because a pid alone may be another
 * program's by now. What an agent that was killed left behind is taken over.
 */
import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isAlive, markOf, type ProcessMark } from '../backup/processes.ts';
import { GranaryError } from '../model/errors.ts';
import { formatTime } from '../model/units.ts';

interface Owner extends ProcessMark {
  /** When it took the folder, RFC 3339. */
  readonly since: string;
}

/**
 * Takes a state folder, and makes it where it is missing. Disposing gives it back.
 * @throws GranaryError `state-locked` with the pid of the agent that has it; `file-unreadable`
 */
export async function lockState(folder: string): Promise<AsyncDisposable> {
  const path = join(folder, 'agent.lock');
  const own: Owner = {
    pid: process.pid,
    started: (await markOf(process.pid))?.started ?? '',
    since: new Date().toISOString(),
  };
  const text = `${JSON.stringify(own)}\n`;
  const temp = join(folder, `.agent.lock-${randomUUID()}`);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // Written beside and then linked: the lock appears with its content or not at all.
    await writeFile(temp, text, { mode: 0o600, flag: 'wx' });
    if (!(await linkedNew(temp, path))) await takeOver(temp, path, folder);
  } catch (error) {
    if (error instanceof GranaryError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new GranaryError('file-unreadable', `the state folder ${folder} cannot be used (${code})`, {
      hint: 'name a folder that this user may write to with --state',
      cause: error,
      context: { path: folder },
    });
  } finally {
    await rm(temp, { force: true }).catch(() => {});
  }
  return {
    [Symbol.asyncDispose]: async () => {
      if ((await readText(path)) === text) await rm(path, { force: true });
    },
  };
}

/**
 * Replaces a lock that nobody alive has. Of several who find it stale only one may look and replace: whoever makes the
 * second file. Without that the slower one would replace the lock that the faster one has just taken.
 */
async function takeOver(temp: string, path: string, folder: string): Promise<void> {
  const turn = `${path}.takeover`;
  if (!(await linkedNew(temp, turn))) {
    const other = await ownerOf(turn);
    if (other !== null && (await isAlive(other))) throw lockedBy(other, folder);
    // It was killed between two calls, right here.
    await rm(turn, { force: true });
    if (!(await linkedNew(temp, turn))) throw lockedBy(await ownerOf(turn), folder);
  }
  try {
    const text = await readText(path);
    const owner = parse(text ?? '');
    if (owner !== null && (await isAlive(owner))) throw lockedBy(owner, folder);
    // Given back meanwhile: it is free for everybody, and not only for whose turn it is.
    if (text === null && !(await linkedNew(temp, path))) throw lockedBy(await ownerOf(path), folder);
    if (text !== null) await rename(temp, path);
  } finally {
    await rm(turn, { force: true });
  }
}

async function linkedNew(temp: string, path: string): Promise<boolean> {
  try {
    await link(temp, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function lockedBy(owner: Owner | null, folder: string): GranaryError {
  const who = owner === null ? '' : ` (pid ${owner.pid}, since ${formatTime(new Date(owner.since))})`;
  return new GranaryError(
    'state-locked',
    `another agent${who} already works with the state folder ${folder}`,
    {
      hint: 'end that one, or give this one a folder of its own with --state',
      context: { folder, pid: owner?.pid ?? null },
    },
  );
}

/** null where there is no lock, or nothing that makes sense. */
async function ownerOf(path: string): Promise<Owner | null> {
  const text = await readText(path);
  return text === null ? null : parse(text);
}

async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function parse(text: string): Owner | null {
  try {
    const { pid, started, since } = JSON.parse(text) as Partial<Owner>;
    const whole =
      Number.isInteger(pid) && typeof started === 'string' && !Number.isNaN(Date.parse(since ?? ''));
    return whole ? ({ pid, started, since } as Owner) : null;
  } catch {
    return null;
  }
}
