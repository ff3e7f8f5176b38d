/** How a failure is told: `error:` and `hint:` for people, one JSON object for programs. */
import { asGranaryError, type GranaryError } from '../model/errors.ts';
import { printable, withoutCommands } from '../model/printable.ts';
import type { Io } from './io.ts';

/** Writes the failure to stderr, in the form that `-o` asks for. */
export function tellFailure(io: Io, thrown: unknown, output: string | undefined): void {
  const error = asGranaryError(thrown);
  if (output === 'json') {
    const { code, message, hint = null, context } = error;
    io.err(JSON.stringify({ error: { code, message, hint, context } }, null, 2));
    return;
  }
  io.err(formatFailure(error, io.color));
  if (error.kind === 'bug') {
    io.err('hint: this is a fault in Granary; please report it with the lines below');
    const stack = (error.cause instanceof Error ? error.cause.stack : error.stack) ?? '';
    io.err(withoutCommands(stack.split('\n').map(printable).join('\n')));
  }
}

/** `error: …` and, where there is one, `hint: …`. */
export function formatFailure(error: GranaryError, color: boolean): string {
  const paint = (code: number, text: string) => (color ? `\u001b[${code}m${text}\u001b[0m` : text);
  const hint = error.hint === undefined ? '' : `\n${paint(36, 'hint:')} ${withoutCommands(error.hint)}`;
  return `${paint(31, 'error:')} ${withoutCommands(error.message)}${hint}`;
}
