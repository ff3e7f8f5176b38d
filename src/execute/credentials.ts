import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Configuration } from '../model/config.ts';
import { GranaryError } from '../model/errors.ts';
import { openCredentialFile } from '../secrets/credential-file.ts';
import type { Identities } from '../secrets/identities.ts';
import type { Secret } from '../secrets/secret.ts';

/** The values of one credential, by the name they have in its `data`. */
export type OpenCredential = ReadonlyMap<string, Secret>;

/**
 * The credentials of one commit. A file is decrypted when somebody needs it, once: what nothing reaches stays closed.
 */
export class Credentials {
  readonly #root: string;
  readonly #configuration: Configuration;
  readonly #identities: Identities;
  readonly #opened = new Map<string, Promise<OpenCredential>>();

  /** @param root the folder that the configuration was read from */
  constructor(root: string, configuration: Configuration, identities: Identities) {
    this.#root = root;
    this.#configuration = configuration;
    this.#identities = identities;
  }

  /** The private keys that were given, for encrypted backups. */
  get identities(): readonly Secret[] {
    return this.#identities.keys.map(({ secret }) => secret);
  }

  /**
   * @throws GranaryError `unknown-object`, and what opening the file throws
   */
  open(name: string): Promise<OpenCredential> {
    const known = this.#opened.get(name);
    if (known !== undefined) return known;
    const opening = this.#open(name);
    this.#opened.set(name, opening);
    opening.catch(() => this.#opened.delete(name));
    return opening;
  }

  async #open(name: string): Promise<OpenCredential> {
    const credential = this.#configuration.credentials.find((one) => one.name === name);
    if (credential === undefined) {
      throw new GranaryError('unknown-object', `there is no credential ${name}`, {
        hint: '`granary validate` lists what does not fit together',
      });
    }
    const { file } = credential.position;
    const text = await readFile(join(this.#root, file), 'utf8');
    return openCredentialFile({ file, text, identities: this.#identities });
  }
}
