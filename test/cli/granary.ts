/** The command line as a child process, as people and timers run it. Every output is searched for planted secrets. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { expect } from 'vitest';
import type { ErrorCode } from '../../src/model/errors.ts';
import { atExit } from '../servers/at-exit.ts';
import { entry } from './entry.ts';

export interface Ran {
  readonly args: readonly string[];
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  /** Beside PATH and HOME: nothing of the surroundings reaches the command. */
  readonly env?: Readonly<Record<string, string>>;
  /** On its stdin; default: nothing. */
  readonly input?: string | Uint8Array;
  /** As whom; only root may choose. */
  readonly uid?: number;
}

export interface Running {
  /** When it has ended. */
  readonly ended: Promise<Ran>;
  /** What another promise gives, while the command runs; rejects when the command ends before. */
  until<T>(other: Promise<T>): Promise<T>;
  /** What fits in its output so far, or as soon as it does. */
  seen(pattern: RegExp): Promise<RegExpExecArray>;
  kill(signal: NodeJS.Signals): void;
}

const planted = new Set<string>();
const children = new Set<ChildProcess>();
atExit(() => {
  for (const child of children) child.kill('SIGKILL');
});

/** From now on no output of any command may hold this, nor its base64. */
export function plant(secret: string): string {
  planted.add(secret);
  return secret;
}

/** Fails where a planted secret stands in a text: as it is, as base64, as hex, or as part of a URL. */
export function expectNoSecret(text: string, where: string): void {
  for (const secret of planted) {
    const bytes = Buffer.from(secret);
    const base64 = bytes.toString('base64').replace(/=+$/, '');
    for (const form of [secret, base64, bytes.toString('hex'), encodeURIComponent(secret)]) {
      if (text.includes(form))
        throw new Error(`${where} shows a secret: ${text.replaceAll(form, '[SECRET]')}`);
    }
  }
}

/** Starts `granary` with these words. */
export function start(args: readonly string[], options: RunOptions = {}): Running {
  // NODE_OPTIONS belongs to whoever measures coverage or debugs.
  const { PATH, NODE_OPTIONS } = process.env;
  const child = spawn(process.execPath, [entry, ...args], {
    cwd: options.cwd,
    env: { PATH, HOME: '/nonexistent', ...(NODE_OPTIONS && { NODE_OPTIONS }), ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(options.uid !== undefined && { uid: options.uid }),
  });
  children.add(child);
  // A command that reads nothing may end first.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input);
  let stdout = '';
  let stderr = '';
  const waiting = new Set<() => void>();
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    for (const look of waiting) look();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    for (const look of waiting) look();
  });
  const ended = new Promise<Ran>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      children.delete(child);
      resolve({ args, code, stdout, stderr });
    });
  }).then((ran) => {
    expectNoSecret(ran.stdout, `stdout of granary ${args.join(' ')}`);
    expectNoSecret(ran.stderr, `stderr of granary ${args.join(' ')}`);
    return ran;
  });
  const failed = ended.then(({ code, stderr }) => {
    throw new Error(`granary ${args.join(' ')} ended too early, with ${code}: ${stderr}`);
  });
  failed.catch(() => {});
  const until = <T>(other: Promise<T>) => Promise.race([other, failed]);
  const seen = (pattern: RegExp) =>
    until(
      new Promise<RegExpExecArray>((resolve) => {
        const look = () => {
          const match = pattern.exec(stdout + stderr);
          if (match !== null) resolve(match);
        };
        waiting.add(look);
        look();
      }),
    );
  return { ended, until, seen, kill: (signal) => child.kill(signal) };
}

/** Runs `granary` to its end. */
export function granary(args: readonly string[], options?: RunOptions): Promise<Ran> {
  return start(args, options).ended;
}

/** Runs `granary … -o json`, which must succeed, and gives what it printed. */
export async function granaryJson<T>(args: readonly string[], options?: RunOptions): Promise<T> {
  const ran = await granary([...args, '-o', 'json'], options);
  if (ran.code !== 0) throw new Error(`granary ${args.join(' ')} ended with ${ran.code}: ${ran.stderr}`);
  return JSON.parse(ran.stdout) as T;
}

export interface Failure {
  readonly code: ErrorCode;
  /** All of these stand in the message: what it is, and its name. */
  readonly says: readonly string[];
  /** Stands in the hint. */
  readonly hint: string;
  /** Default 1. */
  readonly exit?: number;
}

/** Lines that may stand on stderr before the error: what was done until then. */
const told = /^(warning: |hint: |snapshot |proof |stored |published |found |passed over |read )/;

/** One clear error as people see it: `error: …`, `hint: …` and nothing after; no word on stdout; the exit code. */
export function expectErrorText(ran: Ran, failure: Failure): void {
  const lines = ran.stderr.trimEnd().split('\n');
  const [error = '', hint = ''] = lines.slice(-2);
  const before = lines.slice(0, -2);
  const what = JSON.stringify(ran, null, 1);
  expect(ran.code, what).toBe(failure.exit ?? 1);
  expect(ran.stdout, what).toBe('');
  expect(error, what).toMatch(/^error: /);
  for (const words of failure.says) expect(error, what).toContain(words);
  expect(hint, what).toMatch(/^hint: /);
  expect(hint, what).toContain(failure.hint);
  for (const line of before) expect(line, what).toMatch(told);
}

interface ErrorJson {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
}

/** The error of `-o json`: on stderr, or where the command has results in the only one of them. */
export function errorOf(ran: Ran): ErrorJson {
  if (ran.stdout !== '') {
    const { results = [], items = [] } = JSON.parse(ran.stdout) as {
      results?: { error: ErrorJson | null }[];
      items?: { error: ErrorJson | null }[];
    };
    const error = [...results, ...items][0]?.error;
    if (error != null) return error;
  }
  // Each warning before it is a JSON value on a line of its own.
  const json = ran.stderr
    .split('\n')
    .filter((line) => !('warning' in (tryJson(line) ?? {})))
    .join('\n');
  return (JSON.parse(json) as { error: ErrorJson }).error;
}

function tryJson(text: string): object | null {
  try {
    return JSON.parse(text) as object;
  } catch {
    return null;
  }
}

/** As `expectErrorText`, of `-o json`. */
export function expectErrorJson(ran: Ran, failure: Failure): void {
  const what = JSON.stringify(ran, null, 1);
  expect(ran.code, what).toBe(failure.exit ?? 1);
  const { code, message, hint } = errorOf(ran);
  expect(code, what).toBe(failure.code);
  for (const words of failure.says) expect(message, what).toContain(words);
  expect(hint, what).toContain(failure.hint);
}

/**
 * Runs the command twice, for people and for programs: both must fail in the same way.
 * @param options.inTurn one after the other: for commands that write something before they fail
 */
export async function expectFailure(
  args: readonly string[],
  failure: Failure,
  { inTurn = false, ...options }: RunOptions & { readonly inTurn?: boolean } = {},
): Promise<void> {
  const asText = granary(args, options);
  if (inTurn) await asText;
  const [text, json] = await Promise.all([asText, granary([...args, '-o', 'json'], options)]);
  expectErrorText(text, failure);
  expectErrorJson(json, failure);
}

/** Every file below a folder, with its path in it. */
export function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => `${entry.parentPath}/${entry.name}`.slice(folder.length + 1))
    .sort();
}
