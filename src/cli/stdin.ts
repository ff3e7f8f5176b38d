/** What is piped into a command. */

import { usage } from '../model/errors.ts';

/** All of stdin. @throws GranaryError `usage` where it is not UTF-8 */
export async function readStdin(): Promise<string> {
  const { buffer } = await import('node:stream/consumers');
  const bytes = await buffer(process.stdin);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw usage('what came from stdin is not UTF-8', 'save it as UTF-8');
  }
}
