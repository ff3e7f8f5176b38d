/** The agent of the demo: a real process, watched through its log. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { formatBytes } from '../../src/model/units.ts';
import { entry, showCommand, tell } from './say.ts';

export interface RunningAgent {
  /** Resolves when a backup has been published that holds at least this revision. */
  published(revision: number): Promise<void>;
  /** SIGTERM, and waits until it has drained. */
  stop(): Promise<void>;
}

/** Starts `granary agent` and shows what it logs of runs. */
export function startAgent(args: readonly string[], env: NodeJS.ProcessEnv): RunningAgent {
  showCommand('granary', 'agent', ...args);
  const child = spawn(process.execPath, [entry, 'agent', ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  let newest = 0;
  const waiting: { revision: number; resolve: () => void; reject: (error: Error) => void }[] = [];
  const log: string[] = [];
  const closed = new Promise<number>((resolve) => {
    child.once('close', (code) => {
      process.removeListener('exit', kill);
      for (const one of waiting)
        one.reject(new Error(`the agent ended with ${code}:\n${log.slice(-5).join('\n')}`));
      resolve(code ?? 1);
    });
  });
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      log.push(line);
      const run = backupIn(line);
      if (run === null) return;
      const { seed, cluster, policy, slot, outcome, revision, storedBytes, hashKV } = run;
      const proof = hashKV === 'equal' ? 'equal to the live member' : hashKV;
      tell(
        `  ${seed}/${cluster}/${policy}/${slot}  ${outcome}, revision ${revision}, ${formatBytes(storedBytes)}, ${proof}`,
      );
      if (run.outcome !== 'published') return;
      newest = Math.max(newest, revision);
      for (const one of waiting) if (newest >= one.revision) one.resolve();
    });
  }
  return {
    published: (wanted) =>
      new Promise((resolve, reject) => {
        if (newest >= wanted) resolve();
        else waiting.push({ revision: wanted, resolve, reject });
      }),
    stop: async () => {
      child.kill('SIGTERM');
      const code = await closed;
      if (code !== 0) throw new Error(`the agent ended with ${code}:\n${log.slice(-5).join('\n')}`);
    },
  };
}

interface LoggedRun {
  readonly msg: string;
  readonly seed: string;
  readonly cluster: string;
  readonly policy: string;
  readonly slot: string;
  readonly outcome: string;
  readonly revision: number;
  readonly storedBytes: number;
  readonly hashKV: string;
}

/** A line of the agent's log that tells of a backup. */
function backupIn(line: string): LoggedRun | null {
  try {
    const entry = JSON.parse(line) as LoggedRun;
    return /^backup (done|incomplete|failed)$/.test(entry.msg) ? entry : null;
  } catch {
    return null;
  }
}
