/**
 * The second, independent reader of credential files: the library `sops-age`. It is asked only after our own reader
 * has verified the file, because it checks no authentication code, and only with an explicit private key: without one
 * it would search `~/.ssh` and the environment, and run what `SOPS_AGE_KEY_CMD` says.
 */
import type { Secret } from './secret.ts';

/** The texts in `data`; null where the library cannot read the file. Its errors are dropped: they may hold the key. */
export async function openWithSopsAge(text: string, identity: Secret): Promise<Map<string, string> | null> {
  const secretKey = identity.reveal();
  if (secretKey === '') return null;
  try {
    const { decryptSops } = await import('sops-age');
    const document: unknown = await decryptSops(text, { secretKey, fileType: 'yaml' });
    const data = (document as { data?: unknown } | null)?.data;
    if (typeof data !== 'object' || data === null) return null;
    return new Map(
      Object.entries(data).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    );
  } catch {
    return null;
  }
}
