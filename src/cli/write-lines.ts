/** Output that is too long to be held as a whole. */
import type { Writable } from 'node:stream';

const pieceLength = 64 * 1024;

/**
 * Writes lines, each with a line feed, and asks for the next only when there is room for it. Ends early, without an error,
 * where nobody reads any more; an abort makes it reject.
 */
export async function writeLines(
  stream: Writable,
  lines: Iterable<string>,
  signal: AbortSignal,
): Promise<void> {
  let piece = '';
  const flush = async (): Promise<void> => {
    const hasRoom = stream.write(piece);
    piece = '';
    if (hasRoom || !stream.writable) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = () => resolve();
    const events = ['drain', 'close', 'error'] as const;
    for (const event of events) stream.once(event, end);
    signal.addEventListener('abort', end);
    await promise;
    signal.removeEventListener('abort', end);
    for (const event of events) stream.off(event, end);
  };
  for (const line of lines) {
    piece += `${line}\n`;
    if (piece.length < pieceLength) continue;
    await flush();
    signal.throwIfAborted();
    if (!stream.writable) return;
  }
  if (piece !== '') await flush();
}
