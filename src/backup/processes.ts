/** Which process is meant by a number, also after that process has ended and another one got its number. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

export interface ProcessMark {
  readonly pid: number;
  /** When it was started: good for comparing only. */
  readonly started: string;
}

/** The mark of a process that runs now; null where there is none of that number. */
export async function markOf(pid: number): Promise<ProcessMark | null> {
  const started = await startOf(pid);
  return started === null ? null : { pid, started };
}

/** Whether that very process still runs. */
export async function isAlive({ pid, started }: ProcessMark): Promise<boolean> {
  return (await startOf(pid)) === started;
}

/** When a process was started, as text; null where there is none. On another machine all of them are other ones. */
async function startOf(pid: number): Promise<string | null> {
  try {
    if (process.platform === 'linux') {
      const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
      const fields = statFields(await readFile(`/proc/${pid}/stat`, 'utf8'));
      // A zombie has ended; only its parent has not looked yet.
      return fields[0] === 'Z' ? null : `${boot} ${fields[19]}`;
    }
    const { stdout } = await promisify(execFile)('ps', ['-o', 'lstart=', '-p', String(pid)]);
    return stdout.trim() || null;
  } catch {
    return null;
  }
}

/** What a process has done so far. */
export interface Work {
  readonly cpuMs: number;
  /** Read from and written to disks, where the system tells. */
  readonly diskBytes: number;
}

/** Null where the process has ended, or the system has no /proc. */
export async function workOf(pid: number): Promise<Work | null> {
  try {
    const fields = statFields(await readFile(`/proc/${pid}/stat`, 'utf8'));
    // Its own time in user and kernel mode, in ticks: 100 a second on every Linux that Node runs on.
    const cpuMs = (Number(fields[11]) + Number(fields[12])) * 10;
    const io = await readFile(`/proc/${pid}/io`, 'utf8').catch(() => '');
    const bytes = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(io)?.[1] ?? 0);
    return { cpuMs, diskBytes: bytes('read_bytes') + bytes('write_bytes') };
  } catch {
    return null;
  }
}

/** The fields of proc(5) `stat` from the third on: the second is the name in brackets, and may hold spaces. */
function statFields(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}
