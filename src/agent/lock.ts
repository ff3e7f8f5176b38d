/**
 * One agent for each state folder. A file says whose it is: pid and start time, because a pid alone may be another
 * program's by now. What an agent that was killed left behind is taken over.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { GranaryError } from '../model/errors.ts';
import { formatTime } from '../model/units.ts';

interface Owner {
  readonly pid: number;
  /** Good for comparing only. */
  readonly started: string;
  /** When it took the folder, RFC 3339. */
  readonly since: string;
}

const attempts = 5;

/**
 * Takes a state folder, and makes it where it is missing. Disposing gives it back.
 * @throws GranaryError `state-locked` with the pid of the agent that has it; `file-unreadable`
 */
export async function lockState(folder: string): Promise<AsyncDisposable> {
  const path = join(folder, 'agent.lock');
  const own: Owner = {
    pid: process.pid,
    started: (await startOf(process.pid)) ?? '',
    since: new Date().toISOString(),
  };
  const text = `${JSON.stringify(own)}\n`;
  const temp = join(folder, `.agent.lock-${randomUUID()}`);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // Written beside and then linked: the lock appears with its content or not at all.
    await writeFile(temp, text, { mode: 0o600, flag: 'wx' });
    for (let attempt = 1; ; attempt++) {
      if (await linkedNew(temp, path)) break;
      if (!(await removeStale(path)) || attempt === attempts) throw await lockedBy(folder, path);
    }
  } catch (error) {
    if (error instanceof GranaryError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new GranaryError('file-unreadable', `the state folder ${folder} cannot be used (${code})`, {
      hint: 'name a folder that this user may write to with --state',
      cause: error,
      context: { path: folder },
    });
  } finally {
    await rm(temp, { force: true });
  }
  return {
    [Symbol.asyncDispose]: async () => {
      if ((await readText(path)) === text) await rm(path, { force: true });
    },
  };
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

/** Whether the lock is gone now because nobody alive had it. */
async function removeStale(path: string): Promise<boolean> {
  const text = await readText(path);
  if (text === null) return true;
  const owner = parse(text);
  if (owner !== null && (await isAlive(owner))) return false;
  const aside = `${path}-${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch (error) {
    // Another one, who found it stale too, was faster.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
    throw error;
  }
  // Between reading and renaming another one may have taken it over: that lock is no stale one and goes back.
  const taken = await readText(aside);
  if (taken !== text) await linkedNew(aside, path);
  await rm(aside, { force: true });
  return true;
}

async function lockedBy(folder: string, path: string): Promise<GranaryError> {
  const owner = parse((await readText(path)) ?? '');
  const who = owner === null ? '' : ` (pid ${owner.pid}, since ${formatTime(new Date(owner.since))})`;
  return new GranaryError(
    'state-locked',
    `another agent${who} already works with the state folder ${folder}`,
    {
      hint: 'end that one, or give this one a folder of its own with --state',
      context: { path, pid: owner?.pid ?? null },
    },
  );
}

async function isAlive({ pid, started }: Owner): Promise<boolean> {
  return (await startOf(pid)) === started;
}

/** When a process was started, as text; null where there is none. On another machine all of them are other ones. */
async function startOf(pid: number): Promise<string | null> {
  try {
    if (process.platform === 'linux') {
      const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
      // proc(5): the second field is the name in brackets and may hold spaces; the start time is the 22nd field.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      // A zombie has ended; only its parent has not looked yet.
      return fields[0] === 'Z' ? null : `${boot} ${fields[19]}`;
    }
    const { stdout } = await promisify(execFile)('ps', ['-o', 'lstart=', '-p', String(pid)]);
    return stdout.trim() || null;
  } catch {
    return null;
  }
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
