/** Bytes on stdout, for whoever pipes them on. */
import { once } from 'node:events';
import { GranaryError, isGranaryError, usage } from '../model/errors.ts';

/**
 * @param what would be written, and what to do instead
 * @throws GranaryError `usage` where stdout is a terminal
 */
export function requirePipe(what: string, instead: string): void {
  if (process.stdout.isTTY) throw usage(`${what} is nothing for a terminal`, instead);
}

/** Writes all of it, no faster than it is read. @throws GranaryError `target-unwritable` where the reader has gone */
export async function writeStdout(pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const { stdout } = process;
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  const fail = (cause: Error) => {
    const hint = 'what reads from it has ended; look at its own error';
    failed.reject(new GranaryError('target-unwritable', 'stdout was closed too early', { hint, cause }));
  };
  stdout.on('error', fail);
  try {
    for await (const bytes of pieces) {
      if (!stdout.write(bytes)) await Promise.race([once(stdout, 'drain'), failed.promise]);
    }
    await Promise.race([new Promise((resolve) => stdout.write('', resolve)), failed.promise]);
  } finally {
    stdout.off('error', fail);
  }
}

/** Text in pieces, no faster than it is read. @throws GranaryError `target-unwritable` where the reader has gone */
export function printAll(pieces: AsyncIterable<string>): Promise<void> {
  return writeStdout(blocks(pieces));
}

/** As `printAll`, of a list: a reader that has seen enough, as `head`, ends it without an error. */
export async function printList(pieces: AsyncIterable<string>): Promise<void> {
  try {
    await printAll(pieces);
  } catch (error) {
    if (!isGranaryError(error, 'target-unwritable')) throw error;
  }
}

/**
 * One JSON object in pieces: `items`, one a line, and what is known at the end.
 * @param rest asked when all items are through
 */
export async function* jsonPieces(
  items: AsyncIterable<object>,
  rest: () => Readonly<Record<string, unknown>>,
): AsyncGenerator<string> {
  yield '{\n  "items": [';
  let between = '\n    ';
  for await (const item of items) {
    yield between + JSON.stringify(item);
    between = ',\n    ';
  }
  yield '\n  ]';
  for (const [name, value] of Object.entries(rest()))
    yield `,\n  ${JSON.stringify(name)}: ${JSON.stringify(value)}`;
  yield '\n}\n';
}

const blockLength = 64 * 1024;

async function* blocks(pieces: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  let block = '';
  for await (const piece of pieces) {
    block += piece;
    if (block.length < blockLength) continue;
    yield Buffer.from(block);
    block = '';
  }
  yield Buffer.from(block);
}
