/** What a process and all that it started have used, as Linux tells it. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** User and system time of a process and of its children that have ended, in seconds (proc_pid_stat(5), 14 to 17). */
export function cpuSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name of the program stands in brackets and may hold anything; what follows begins with field 3.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0) / ticksPerSecond;
}

/** Resident memory now, in MiB. */
export function residentMiB(pid: number): number {
  return kibibytes(pid, 'VmRSS') / 1_024;
}

/** The most memory that was ever resident, in MiB. */
export function peakMiB(pid: number): number {
  return kibibytes(pid, 'VmHWM') / 1_024;
}

/** How many files, sockets and pipes it has open. */
export function openHandles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function kibibytes(pid: number, field: string): number {
  const found = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(found?.[1]);
}
