/** Other programs: found on the PATH, started with a list of arguments, heard in memory only. */
import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { asGranaryError } from '../model/errors.ts';

/** An executable file on the PATH, folders that are not absolute left out: they would depend on where one stands. */
export async function findProgram(name: string, env: NodeJS.ProcessEnv): Promise<string | null> {
  for (const folder of (env.PATH ?? '').split(delimiter).filter(isAbsolute)) {
    const path = join(folder, name);
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  return null;
}

export interface RunOptions {
  /** All of the program's environment. */
  readonly env: Readonly<Record<string, string>>;
  /** What it reads on stdin. */
  readonly input: string;
  /** After so many milliseconds it is killed. */
  readonly limitMs: number;
  /** It is killed where it writes more. */
  readonly maximumBytes: number;
  readonly signal?: AbortSignal | undefined;
  /** The error for what goes wrong around the program, from words that follow its name. */
  readonly fail: (what: string) => Error;
}

/**
 * Runs a program to its end, without a terminal and in the folder `/`. Its stderr goes nowhere.
 * @returns the exit status, null where a signal ended it, and what it wrote: to be overwritten when it was read
 * @throws what `fail` gives where it cannot be started, writes too much or takes too long; GranaryError `interrupted`
 */
export async function run(
  program: string,
  args: readonly string[],
  { env, input, limitMs, maximumBytes, signal, fail }: RunOptions,
): Promise<{ code: number | null; stdout: Buffer }> {
  if (signal?.aborted) throw asGranaryError(signal.reason, 'interrupted');
  const child = spawn(program, args, { env, cwd: '/', stdio: ['pipe', 'pipe', 'ignore'] });
  const chunks: Buffer[] = [];
  let size = 0;
  let stopped: Error | null = null;
  const stop = (reason: Error) => {
    stopped ??= reason;
    child.kill('SIGKILL');
  };
  const onAbort = () => stop(asGranaryError(signal?.reason, 'interrupted'));
  signal?.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => stop(fail(`gave no answer within ${limitMs / 1000} s`)), limitMs);
  try {
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maximumBytes) stop(fail('wrote more than a credential can hold'));
      else chunks.push(chunk);
    });
    // Who ends early closes the pipe; the exit status says more about it.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', (error: NodeJS.ErrnoException) => {
        reject(fail(`cannot be started (${error.code ?? 'unknown error'})`));
      });
      child.once('close', resolve);
    });
    if (stopped !== null) throw stopped;
    return { code, stdout: Buffer.concat(chunks) };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    for (const chunk of chunks) chunk.fill(0);
  }
}
