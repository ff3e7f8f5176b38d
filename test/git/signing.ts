/** Repositories whose commits are signed by real keys of ssh-keygen. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { TempFolder } from '../servers/temp.ts';
import type { Repository } from './repository-fixture.ts';

export interface SshKey {
  readonly file: string;
  /** As in a file of allowed signers. */
  readonly line: string;
}

export function sshKey(folder: TempFolder, name: string): SshKey {
  const file = folder.join(name);
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', file]);
  return { file, line: `ops@acme.example ${readFileSync(`${file}.pub`, 'utf8')}` };
}

/** Signs every commit from now on; null: none. */
export function signWith(repository: Repository, key: SshKey | null): void {
  repository.git('config', 'commit.gpgSign', String(key !== null));
  if (key === null) return;
  repository.git('config', 'gpg.format', 'ssh');
  repository.git('config', 'user.signingKey', key.file);
}

/** A Repository document that asks for signatures, and who may sign, as files. */
export function trustFiles(commits: 'none' | 'head' | 'all', ...signers: SshKey[]): Record<string, string> {
  return {
    'repository.yaml': `apiVersion: granary.dev/v1\nkind: Repository\nmetadata: {name: fleet}\nspec: {trust: {commits: ${commits}}}\n`,
    '.granary/allowed_signers': signers.map(({ line }) => line).join(''),
  };
}
