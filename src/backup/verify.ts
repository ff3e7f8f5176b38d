/** Verification at rest: every byte of a copy read again, opened, and walked as a database. */
import type { DatabaseReport } from '../bolt/report.ts';
import type { Source } from '../catalog/inventory.ts';
import type { Manifest } from '../model/generated/manifest.ts';
import { checkStoredBytes, isEncrypted, type ReadOptions, readAndCheck } from './read.ts';
import { requireFreeDisk, Spool } from './spool.ts';

export interface Verified {
  /** `stored`: without a private key only the bytes at rest could be hashed. */
  readonly depth: 'stored' | 'content';
  readonly report: DatabaseReport | null;
}

export interface VerifyOptions extends ReadOptions {
  readonly spoolFolder?: string | undefined;
}

/**
 * Reads one copy of a backup and compares it with its manifest: stored bytes, raw bytes, structure, revision, live
 * keys and HashKV. Without a private key for an encrypted one only the stored bytes.
 * @throws GranaryError `backup-damaged`, `age-key-wrong`, `disk-full`, and what stores throw
 */
export async function verifyCopy(
  manifest: Manifest,
  from: Source,
  options: VerifyOptions,
): Promise<Verified> {
  if (isEncrypted(manifest) && options.identities.length === 0) {
    await checkStoredBytes(manifest, from, options);
    return { depth: 'stored', report: null };
  }
  await requireFreeDisk(manifest.snapshot.size, options.spoolFolder);
  await using spool = await Spool.create(options.spoolFolder);
  return { depth: 'content', report: await readAndCheck(manifest, from, spool.rawFile, options) };
}
