import { createHash, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Configuration } from '../model/config.ts';
import { GranaryError } from '../model/errors.ts';
import { openCredentialFile } from '../secrets/credential-file.ts';
import type { Identities, PrivateKey } from '../secrets/identities.ts';
import type { RememberedCredentials } from '../secrets/remembered.ts';
import type { Secret } from '../secrets/secret.ts';

/** The values of one credential, by the name they have in its `data`. */
export type OpenCredential = ReadonlyMap<string, Secret>;

export interface CredentialsOptions {
  readonly identities: Identities;
  /** How new each credential was that was accepted, so that an older version is refused; absent: nothing is remembered. */
  readonly remembered?: RememberedCredentials | undefined;
  /** Told where the two readers of a file differ, which is an error otherwise: a restore must go on. */
  readonly onDisagreement?: ((note: string) => void) | undefined;
  /** Ends the `sops` program where that has to open a file. */
  readonly signal?: AbortSignal | undefined;
  /** Values that are used in place of those in the file, by the name of the credential: to try them out, or where no file has them. */
  readonly instead?: ReadonlyMap<string, OpenCredential> | undefined;
}

/**
 * The credentials of one commit. A file is decrypted when somebody needs it, once: what nothing reaches stays closed.
 */
export class Credentials {
  readonly #root: string;
  readonly #configuration: Configuration;
  readonly #options: CredentialsOptions;
  readonly #opened = new Map<string, Promise<OpenCredential>>();
  readonly #prints = new Map<string, string>();

  /** @param root the folder that the configuration was read from */
  constructor(root: string, configuration: Configuration, options: CredentialsOptions) {
    this.#root = root;
    this.#configuration = configuration;
    this.#options = options;
  }

  /** The private keys that were given, for encrypted backups. */
  get identities(): readonly PrivateKey[] {
    return this.#options.identities.keys;
  }

  /**
   * @throws GranaryError `unknown-object`, `sops-replayed`, `state-invalid`, and what opening the file throws
   */
  open(name: string): Promise<OpenCredential> {
    const known = this.#opened.get(name);
    if (known !== undefined) return known;
    const opening = this.#open(name);
    this.#opened.set(name, opening);
    opening.catch(() => this.#opened.delete(name));
    return opening;
  }

  /**
   * Changes whenever the file of a credential does, and says nothing of what is in it: it is made of the encrypted text.
   * Errors as of `open`.
   */
  async printOf(name: string): Promise<string> {
    await this.open(name);
    return this.#prints.get(name) ?? '';
  }

  async #open(name: string): Promise<OpenCredential> {
    const instead = this.#options.instead?.get(name);
    if (instead !== undefined) {
      this.#prints.set(name, randomUUID());
      return instead;
    }
    const credential = this.#configuration.credentials.find((one) => one.name === name);
    if (credential === undefined) {
      throw new GranaryError('unknown-object', `there is no credential ${name}`, {
        hint: '`granary validate` lists what does not fit together',
      });
    }
    const { identities, remembered, signal, onDisagreement } = this.#options;
    const { file } = credential.position;
    const text = await readFile(join(this.#root, file), 'utf8');
    const { values, lastModified } = await openCredentialFile({
      ...{ file, text, identities, signal, onDisagreement },
    });
    await remembered?.accept(name, file, lastModified);
    this.#prints.set(name, createHash('sha256').update(text).digest('hex'));
    return values;
  }
}
