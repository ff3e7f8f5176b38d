/** Bytes on stdout, for whoever pipes them on. */
import { once } from 'node:events';
import { GranaryError } from '../model/errors.ts';
import { usage } from './failure.ts';

/** @throws GranaryError `usage` where stdout is a terminal */
export function requirePipe(): void {
  if (!process.stdout.isTTY) return;
  throw usage('a snapshot is nothing for a terminal', 'pipe it on, or name a file: --to FILE.db');
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
