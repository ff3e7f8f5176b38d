/** Why a directory of Microsoft Entra ID cannot be asked for tokens. */
import { request } from 'node:https';
import { networkError, networkName } from './azure-network-errors.ts';

/**
 * The library first asks the authority about the directory, and of whatever goes wrong with that it says only that it
 * did. Asks again, and gives what the answer holds, or throws what befell the connection.
 */
export async function askAboutDirectory(
  authorityHost: string,
  tenantId: string,
  options: { readonly ca: string[] | undefined; readonly signal: AbortSignal },
): Promise<string> {
  const { host } = new URL(authorityHost);
  const path = `/${encodeURIComponent(tenantId)}/v2.0/.well-known/openid-configuration`;
  try {
    const { status, body } = await get(new URL(path, authorityHost), options);
    return status < 300 ? 'the directory is known' : `status code: ${status} ${body}`;
  } catch (error) {
    options.signal.throwIfAborted();
    const name = networkName(error);
    const cause = new Error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    throw networkError(name, host, { cause, context: { host, reason: name } }) ?? error;
  }
}

/** The first of the body is enough: it has the code of the error. */
const bodyLimit = 4_096;

function get(
  url: URL,
  { ca, signal }: { readonly ca: string[] | undefined; readonly signal: AbortSignal },
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asking = request(url, { signal, agent: false, ...(ca !== undefined && { ca }) }, (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        body = (body + chunk).slice(0, bodyLimit);
      });
      answer.once('end', () => resolve({ status: answer.statusCode ?? 0, body }));
      answer.once('error', reject);
    });
    asking.once('error', reject);
    asking.end();
  });
}
