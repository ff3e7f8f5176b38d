/** A PGP key in a home of its own, made by the real gpg. */
import { execFileSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { requireTool } from '../servers/tools.ts';

export class GpgHome implements Disposable {
  readonly folder: TempFolder;
  readonly fingerprint: string;

  constructor() {
    this.folder = tempFolder('gpg');
    chmodSync(this.folder.path, 0o700);
    this.#gpg(
      '--batch',
      '--passphrase',
      '',
      '--quick-generate-key',
      'granary test',
      'future-default',
      'default',
      'never',
    );
    const list = this.#gpg('--list-keys', '--with-colons');
    this.fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(list)?.[1] ?? '';
  }

  /** What sops needs to find gpg and this key. */
  get env(): { GNUPGHOME: string; PATH: string } {
    return { GNUPGHOME: this.folder.path, PATH: '/usr/bin:/bin' };
  }

  #gpg(...args: string[]): string {
    return execFileSync(requireTool('gpg'), args, { env: this.env, encoding: 'utf8', stdio: 'pipe' });
  }

  [Symbol.dispose](): void {
    // The agent of this home would go on without it.
    execFileSync(requireTool('gpg', 'gpgconf'), ['--kill', 'all'], { env: this.env, stdio: 'ignore' });
    this.folder.remove();
  }
}
