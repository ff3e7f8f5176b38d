/**
 * How new each credential was when it was last accepted. SOPS' authentication code does not tell an older version of a
 * file, put back whole, from the one that replaced it; `lastmodified`, which the code covers, does. What is remembered
 * is a name and a moment, no secret.
 */
import { join } from 'node:path';
import { GranaryError } from '../model/errors.ts';
import { readStateFile, writeStateFile } from './state-file.ts';

const fileName = 'credentials.json';
const moment = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

export class RememberedCredentials {
  readonly #folder: string;
  /** Changes of the file, one after the other. */
  #writing: Promise<void> = Promise.resolve();

  /** @param folder the state folder; made when there is something to remember */
  constructor(folder: string) {
    this.#folder = folder;
  }

  get path(): string {
    return join(this.#folder, fileName);
  }

  /**
   * Refuses a credential that is older than the one of that name that was last accepted. Equal is fine: `updatekeys`
   * leaves the moment as it is.
   * @param name of the Credential
   * @param file where it is, for messages
   * @param lastModified authentic, RFC 3339 in whole seconds and UTC
   * @throws GranaryError `sops-replayed`, `state-invalid`, `file-unreadable`
   */
  async check(name: string, file: string, lastModified: string): Promise<void> {
    await this.#writing;
    this.#compare((await this.#read()).get(name), name, file, lastModified);
  }

  /** As `check`, and remembers it. */
  async accept(name: string, file: string, lastModified: string): Promise<void> {
    const change = this.#writing.then(async () => {
      const known = await this.#read();
      this.#compare(known.get(name), name, file, lastModified);
      if (known.get(name) === lastModified) return;
      await this.#write(known.set(name, lastModified));
    });
    // The next one does not fail for what is wrong with this one.
    this.#writing = change.catch(() => {});
    await change;
  }

  #compare(accepted: string | undefined, name: string, file: string, lastModified: string): void {
    // Both have the same form, in which the order of texts is that of moments.
    if (accepted === undefined || lastModified >= accepted) return;
    throw new GranaryError(
      'sops-replayed',
      `${file}: credential ${name} is from ${lastModified}, and one from ${accepted} was accepted before: an older version was put back`,
      {
        hint: `restore the newest version of the file; if the older one is meant, set its values anew with \`sops edit\`, or take the line of ${name} out of ${this.path}`,
        context: { file, credential: name, lastModified, accepted },
      },
    );
  }

  async #read(): Promise<Map<string, string>> {
    const text = await readStateFile(this.path);
    if (text === null) return new Map();
    const known = parse(text);
    if (known !== null) return known;
    throw new GranaryError('state-invalid', `${this.path} is not what Granary writes there`, {
      hint: 'put it back from a copy; removing it makes Granary forget which versions of credentials it has accepted',
      context: { file: this.path },
    });
  }

  async #write(known: ReadonlyMap<string, string>): Promise<void> {
    const lastModified = Object.fromEntries([...known].toSorted(([a], [b]) => (a < b ? -1 : 1)));
    await writeStateFile(this.path, `${JSON.stringify({ format: 1, lastModified }, null, 2)}\n`);
  }
}

/** null for anything but a file of this format. */
function parse(text: string): Map<string, string> | null {
  try {
    const { format, lastModified } = JSON.parse(text) as { format?: unknown; lastModified?: unknown };
    if (format !== 1 || typeof lastModified !== 'object' || lastModified === null) return null;
    const entries = Object.entries(lastModified);
    return entries.every(([, value]) => typeof value === 'string' && moment.test(value))
      ? new Map(entries)
      : null;
  } catch {
    return null;
  }
}
