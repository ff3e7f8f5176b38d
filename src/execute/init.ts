/** Makes a new configuration repository: all of its files or none. */
import { lstat, mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { EtcdAuth } from '../etcd/target.ts';
import { GranaryError } from '../model/errors.ts';
import { keyFile, newIdentity } from '../secrets/generate.ts';
import { newCredentialFile } from '../secrets/new-file.ts';
import { Secret } from '../secrets/secret.ts';
import { loginCredential } from './seed-file.ts';
import { starterFiles } from './starter-files.ts';

export interface Initialised {
  /** Absolute. */
  readonly folder: string;
  /** Paths in the folder, in the order in which they were written. */
  readonly files: readonly string[];
  /** The file with the private key, one of `files`. */
  readonly keyFile: string;
  /** Public half of the key. */
  readonly recipient: string;
  /** Absolute path of the folder that backups go to. It is not created. */
  readonly backups: string;
}

interface NewFile {
  readonly name: string;
  readonly mode: number;
  /** Asked for only where it is written: one of them is secret. */
  content(): string;
}

const privateKey = 'age.key';

/**
 * Writes the repository into `path`, which is made where it is missing, around a seed that is given or an example. `target-exists` where one of the files is
 * there already, and nothing is written then; `target-unwritable`, and what was written is removed again.
 */
export async function initialise(
  path: string,
  now: Date,
  given: { readonly name: string; readonly yaml: string; readonly auth: EtcdAuth | null } | null = null,
): Promise<Initialised> {
  const folder = resolve(path);
  const backups = join(dirname(folder), `${basename(folder) || 'granary'}-backups`);
  const identity = await newIdentity();
  const key = keyFile(identity, now);
  const written = starterFiles({ recipient: identity.recipient, backups, seed: given ?? undefined });
  const login = given?.auth == null ? {} : await loginFile(given.auth, identity.recipient, now);
  const files: readonly NewFile[] = [
    ...Object.entries({ ...written, ...login }).map(([name, text]) => ({
      name,
      mode: 0o666,
      content: () => text,
    })),
    { name: privateKey, mode: 0o600, content: () => key.reveal() },
  ];
  await refuseExisting(folder, files);
  await writeAll(folder, files);
  return {
    folder,
    files: files.map(({ name }) => name),
    keyFile: privateKey,
    recipient: identity.recipient,
    backups,
  };
}

async function loginFile(
  { username, password }: EtcdAuth,
  recipient: string,
  now: Date,
): Promise<Readonly<Record<string, string>>> {
  const values = new Map([
    ['username', new Secret(username)],
    ['password', password],
  ]);
  const credential = { name: loginCredential, type: 'etcd', values, recipients: [recipient] };
  return { [`credentials/${loginCredential}.sops.yaml`]: await newCredentialFile(credential, now) };
}

async function refuseExisting(folder: string, files: readonly NewFile[]): Promise<void> {
  const there: string[] = [];
  for (const { name } of files) if (await isThere(join(folder, name))) there.push(name);
  if (there.length === 0) return;
  throw new GranaryError(
    'target-exists',
    `${folder} holds ${there.join(', ')} already; nothing was written`,
    {
      hint: 'name a new folder, as in `granary init fleet`, and take from it what you need',
      context: { folder, files: there.join(', ') },
    },
  );
}

/** A link counts as there, wherever it points. */
async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return false;
    throw unwritable(path, error);
  }
}

async function writeAll(folder: string, files: readonly NewFile[]): Promise<void> {
  const made: string[] = [];
  try {
    for (const { name, mode, content } of files) {
      const path = join(folder, name);
      const first = await mkdir(dirname(path), { recursive: true });
      if (first !== undefined) made.push(first);
      // `wx` also refuses what came into being since it was looked for.
      await writeFile(path, content(), { mode, flag: 'wx' });
      made.push(path);
    }
  } catch (error) {
    for (const path of made.reverse()) await rm(path, { recursive: true, force: true });
    throw unwritable(folder, error);
  }
}

function unwritable(path: string, error: unknown): GranaryError {
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new GranaryError('disk-full', `${path} cannot be written: the disk is full`, {
      hint: 'free some space, or name a folder on another disk',
      cause: error,
      context: { path },
    });
  return new GranaryError('target-unwritable', `${path} cannot be written (${code})`, {
    hint: 'name a folder that this user may write to',
    cause: error,
    context: { path },
  });
}
