/** The agent of the demo: a real process, watched through its log. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { entry, showCommand, tell } from './say.ts';

export interface RunningAgent {
  /** Resolves when so many backups in all have been published. */
  published(count: number): Promise<void>;
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
  let count = 0;
  const waiting: { count: number; resolve: () => void; reject: (error: Error) => void }[] = [];
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
      tell(`  ${run.id}: ${run.outcome}`);
      if (run.outcome !== 'published') return;
      count += 1;
      for (const one of waiting) if (count >= one.count) one.resolve();
    });
  }
  return {
    published: (wanted) =>
      new Promise((resolve, reject) => {
        if (count >= wanted) resolve();
        else waiting.push({ count: wanted, resolve, reject });
      }),
    stop: async () => {
      child.kill('SIGTERM');
      const code = await closed;
      if (code !== 0) throw new Error(`the agent ended with ${code}:\n${log.slice(-5).join('\n')}`);
    },
  };
}

/** A line of the agent's log that tells of a backup. */
function backupIn(line: string): { id: string; outcome: string } | null {
  try {
    const { id, outcome } = JSON.parse(line) as { id?: unknown; outcome?: unknown };
    return typeof id === 'string' && typeof outcome === 'string' ? { id, outcome } : null;
  } catch {
    return null;
  }
}
