/** How a command speaks to the outside: the one place where output, terminal and signals meet. */
import { printable, withoutCommands } from '../model/printable.ts';
import { writeLines } from './write-lines.ts';

export interface Io {
  /** Results, on stdout. */
  out(text: string): void;
  /** Many of them, each with a line feed after it, as fast as they are taken: none is made before there is room for it. */
  outAll(lines: Iterable<string>): Promise<void>;
  /** Progress, warnings and errors, on stderr. */
  err(text: string): void;
  /** A warning, on stderr, in the form that `-o` asks for. */
  warn(message: string): void;
  /** A line that stays open, on stderr: for what moves. */
  draw(text: string): void;
  readonly env: NodeJS.ProcessEnv;
  /** Columns of the terminal; 100 where there is none. */
  readonly width: number;
  readonly color: boolean;
  /** True where stderr is a terminal, so that a progress bar makes sense. */
  readonly interactive: boolean;
  /** Fires at the first Ctrl-C or SIGTERM, and when the terminal is gone. */
  readonly signal: AbortSignal;
  /** The exit code so far; a command that fails in part or is blocked sets its own. */
  exitCode: ExitCode;
}

/** Exit codes of design section 6. */
export const exitCodes = { failed: 1, partly: 4, blocked: 3, pending: 2, done: 0 } as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Where several hold, the first counts. */
const mostSerious: readonly ExitCode[] = [
  exitCodes.failed,
  exitCodes.partly,
  exitCodes.blocked,
  exitCodes.pending,
  exitCodes.done,
];

/** The most serious of some exit codes. */
export function worst(...codes: readonly ExitCode[]): ExitCode {
  return mostSerious.find((code) => codes.includes(code)) ?? exitCodes.done;
}

export interface IoOptions {
  /** What is told on stderr is JSON: one value for each warning, and one for the error. */
  readonly json: boolean;
  /** SIGHUP ends what runs, in order. An agent gives that signal a meaning of its own. */
  readonly endsAtHangup: boolean;
}

/** The process' own terminal. */
export function processIo({ json, endsAtHangup }: IoOptions): Io {
  const abort = new AbortController();
  const interrupt = () => abort.abort(Object.assign(new Error('interrupted'), { name: 'AbortError' }));
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      interrupt();
      // The second one does not wait for the clean-up.
      process.once(name, () => process.exit(exitCodes.failed));
    });
  }
  // A connection that is lost sends several at once: from the kernel, and from the shell.
  if (endsAtHangup) process.on('SIGHUP', interrupt);
  // Whoever reads has seen enough, as `head`, or is gone with the terminal: what was begun is ended all the same.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && !(error.code === 'EIO' && stream.isTTY)) throw error;
    });
  }
  const err = (text: string) => {
    process.stderr.write(text.endsWith('\n') ? text : `${text}\n`);
  };
  return {
    out: (text) => process.stdout.write(text.endsWith('\n') ? text : `${text}\n`),
    outAll: (lines) => writeLines(process.stdout, lines, abort.signal),
    err,
    warn: (message) =>
      err(json ? JSON.stringify({ warning: message }) : `warning: ${withoutCommands(printable(message))}`),
    draw: (text) => process.stderr.write(text),
    env: process.env,
    width: process.stdout.columns ?? 100,
    color: Boolean(process.stdout.isTTY) && !process.env.NO_COLOR && process.env.TERM !== 'dumb',
    interactive: Boolean(process.stderr.isTTY),
    signal: abort.signal,
    exitCode: exitCodes.done,
  };
}
