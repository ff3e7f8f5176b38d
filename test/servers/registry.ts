/**
 * A note on disk for each server that a test process has started, so that servers whose test process was killed are
 * found and ended by the next run. A process is known by pid and start time: a pid alone may be somebody else's by
 * now.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

interface ProcessId {
  readonly pid: number;
  readonly started: string;
}

interface Note {
  readonly child: ProcessId;
  readonly owner: ProcessId;
  /** Folders that belong to the child and go with it. */
  readonly folders: readonly string[];
}

const folder = join(tmpdir(), `granary-test-processes-${userInfo().uid}`);

/** Writes down that this process has started `pid`. Gives what removes the note again. */
export function remember(pid: number, folders: readonly string[]): () => void {
  const child = identify(pid);
  const owner = identify(process.pid);
  if (child === undefined || owner === undefined) return () => {};
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `${pid}.json`);
  const note: Note = { child, owner, folders };
  writeFileSync(file, JSON.stringify(note), { mode: 0o600 });
  return () => rmSync(file, { force: true });
}

/**
 * Ends what test processes that are gone have left behind, and removes its folders. Servers of test processes that
 * still run are left alone. Gives the number of servers ended.
 */
export function cleanUp(): number {
  let ended = 0;
  for (const file of notes()) {
    const note = read(file);
    if (note !== undefined) {
      if (isAlive(note.owner)) continue;
      if (isAlive(note.child)) {
        process.kill(note.child.pid, 'SIGKILL');
        ended++;
      }
      for (const path of note.folders)
        rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    }
    rmSync(file, { force: true });
  }
  return ended;
}

function notes(): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}

function read(file: string): Note | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Note;
  } catch {
    // Another run removed it, or was cut off while writing it.
    return undefined;
  }
}

function identify(pid: number): ProcessId | undefined {
  const started = startTime(pid);
  return started === undefined ? undefined : { pid, started };
}

function isAlive(id: ProcessId): boolean {
  return startTime(id.pid) === id.started;
}

/** When a process was started, as text that is good for comparing only; undefined where there is none. */
function startTime(pid: number): string | undefined {
  try {
    if (process.platform === 'linux') {
      const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // The second field is the program's name in brackets and may hold spaces; the start time is the 22nd field.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      // A zombie has ended; only its parent has not looked yet.
      return fields[0] === 'Z' ? undefined : `${boot} ${fields[19]}`;
    }
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined;
  } catch {
    return undefined;
  }
}
