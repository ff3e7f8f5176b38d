/** Starts a server as a child process, waits until it is ready, and makes sure that it ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { atExit } from './at-exit.ts';
import { remember } from './registry.ts';

export interface ProcessOptions {
  /** For messages: `etcd 3.6 m1`. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Asked again and again until it gives true. A rejection counts as not yet. */
  readonly ready: (signal: AbortSignal) => Promise<boolean>;
  readonly readyTimeoutMs?: number;
  /** Folders that are removed with the server when the test process itself was killed. */
  readonly folders?: readonly string[];
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ServerProcess {
  readonly pid: number;
  /** Settles when the process has ended. */
  readonly exited: Promise<Exit>;
  readonly running: boolean;
  /** The last of what it wrote to stdout and stderr. */
  log(): string;
  /** Sends a signal; false where the process has ended already. */
  kill(signal: NodeJS.Signals): boolean;
  /** SIGTERM, and SIGKILL where that is not enough. Returns when the process has ended. */
  stop(graceMs?: number): Promise<Exit>;
}

/** The server ended before it was ready, or did not become ready in time. Its last words are in `log`. */
export class StartFailure extends Error {
  readonly log: string;

  constructor(message: string, log: string) {
    super(`${message}\n${log || '(it wrote nothing)'}`);
    this.name = 'StartFailure';
    this.log = log;
  }

  /** Another process had taken the port in the meantime: worth another try with other ports. */
  get portTaken(): boolean {
    return /address already in use|EADDRINUSE|port is already in use/i.test(this.log);
  }
}

const logLimit = 16 * 1024;
const pollMs = 20;
const running = new Set<ChildProcess>();
let guarded = false;

/** Starts a server and returns when it is ready; throws StartFailure otherwise, and then nothing runs. */
export async function startProcess(options: ProcessOptions): Promise<ServerProcess> {
  guardExit();
  const child = spawn(options.command, options.args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: options.env ?? process.env,
    cwd: options.cwd,
  });
  const log = collectLog(child);
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', () => resolve({ code: null, signal: null }));
  });
  const spawned = await new Promise<Error | undefined>((resolve) => {
    child.once('spawn', () => resolve(undefined));
    child.once('error', resolve);
  });
  const pid = child.pid;
  if (spawned !== undefined || pid === undefined) {
    throw new StartFailure(`${options.name} cannot be started: ${spawned?.message ?? 'no pid'}`, '');
  }
  running.add(child);
  const forget = remember(pid, options.folders ?? []);
  void exited.then(() => {
    running.delete(child);
    forget();
  });

  const isRunning = () => child.exitCode === null && child.signalCode === null;
  const server: ServerProcess = {
    pid,
    exited,
    get running() {
      return isRunning();
    },
    log,
    kill: (signal) => isRunning() && child.kill(signal),
    stop: async (graceMs = 3_000) => {
      if (isRunning()) child.kill('SIGTERM');
      if (!(await settles(exited, graceMs))) child.kill('SIGKILL');
      return exited;
    },
  };
  await waitUntilReady(options, server);
  return server;
}

async function waitUntilReady(options: ProcessOptions, server: ServerProcess): Promise<void> {
  const limit = options.readyTimeoutMs ?? 30_000;
  const deadline = AbortSignal.timeout(limit);
  while (server.running && !deadline.aborted) {
    const signal = AbortSignal.any([deadline, AbortSignal.timeout(2_000)]);
    if (await options.ready(signal).catch(() => false)) return;
    await delay(pollMs);
  }
  if (server.running) {
    server.kill('SIGKILL');
    await server.exited;
    throw new StartFailure(`${options.name} was not ready after ${limit / 1_000} s`, server.log());
  }
  const { code, signal } = await server.exited;
  throw new StartFailure(
    `${options.name} ended before it was ready (${signal ?? `exit code ${code}`})`,
    server.log(),
  );
}

function collectLog(child: ChildProcess): () => string {
  let log = '';
  const keep = (chunk: string) => {
    log = (log + chunk).slice(-logLimit);
  };
  child.stdout?.setEncoding('utf8').on('data', keep);
  child.stderr?.setEncoding('utf8').on('data', keep);
  return () => log;
}

async function settles(promise: Promise<unknown>, limitMs: number): Promise<boolean> {
  const limit = new AbortController();
  const late = delay(limitMs, false, { signal: limit.signal }).catch(() => false);
  const result = await Promise.race([promise.then(() => true), late]);
  limit.abort();
  return result;
}

/** Servers must not outlive the process that started them, however that ends. */
function guardExit(): void {
  if (guarded) return;
  guarded = true;
  atExit(() => {
    for (const child of running) child.kill('SIGKILL');
  });
}
