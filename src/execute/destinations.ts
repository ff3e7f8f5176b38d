import type { OpenDestination } from '../backup/destination.ts';
import type { Source } from '../catalog/inventory.ts';
import { ensureMarker } from '../catalog/marker.ts';
import { readStatus } from '../catalog/status.ts';
import type { Destination } from '../model/config.ts';
import { asGranaryError, type GranaryError, inDestination } from '../model/errors.ts';
import { openStore } from '../store/open.ts';
import { answerMs, within } from '../store/patience.ts';
import type { CallOptions } from '../store/store.ts';
import type { Credentials, OpenCredential } from './credentials.ts';
import { fingerprintOf, type Probing, Readiness } from './readiness.ts';

/** How long a destination is asked for what others found there. */
const statusMs = 10_000;

/** A destination that could not be opened: it counts as unread, never as empty. */
export interface Unopened {
  readonly name: string;
  readonly error: GranaryError;
}

/** The destinations of one commit, each opened once, when somebody needs it. */
export class Destinations implements AsyncDisposable {
  readonly #credentials: Credentials;
  readonly #open = new Map<string, Promise<Source>>();
  readonly #markers = new Map<string, string>();
  /** Stores that another took the place of, and that somebody may still work with. */
  readonly #replaced: Promise<Source>[] = [];
  readonly #stallMs: number;
  readonly #seed: string;
  /** Of the destinations that were to be written to. */
  readonly readiness: Readiness;

  /**
   * @param options.seed in the name of sessions, so that the log of a provider tells whose they are
   * @param options.readiness what was found under an earlier configuration; default: nothing
   */
  constructor(
    credentials: Credentials,
    options: {
      readonly stallMs?: number;
      readonly seed?: string | undefined;
      readonly readiness?: Readiness | undefined;
    } = {},
  ) {
    this.#credentials = credentials;
    this.#stallMs = options.stallMs ?? 60_000;
    this.#seed = options.seed ?? 'agent';
    this.readiness = options.readiness ?? new Readiness(this.#seed);
  }

  /**
   * Makes sure that destinations were probed since they, or their credentials, changed. What is wrong stands in
   * `readiness`; only an abort throws.
   * @param options.seed for which they are used; default: the one that this was made for
   */
  async prepare(
    destinations: readonly Destination[],
    options: CallOptions & { readonly seed?: string },
  ): Promise<void> {
    const open = destinations.filter(({ locked }) => !locked);
    await Promise.all(open.map((destination) => this.#prepare(destination, options)));
  }

  /** The store of a destination; nothing is written. Errors are the store's, with the destination's name in front. */
  open(destination: Destination): Promise<Source> {
    const known = this.#open.get(destination.name);
    if (known !== undefined) return known;
    const opening = this.#openStore(destination);
    this.#open.set(destination.name, opening);
    // A failure is not remembered: the next pass may find the credential mended.
    opening.catch(() => this.#open.delete(destination.name));
    return opening;
  }

  /**
   * As `open`, of a destination that is ready to be written to, and makes sure of the marker, which makes the place a
   * destination.
   */
  async openForWriting(destination: Destination, { signal }: CallOptions): Promise<OpenDestination> {
    await this.prepare([destination], { signal });
    this.readiness.requireUsable(destination.name);
    const source = await this.open(destination);
    try {
      const known = this.#markers.get(destination.name);
      const markerId =
        known ??
        (
          await within(answerMs, signal, (limited) =>
            ensureMarker(source.store, new Date(), { signal: limited }),
          )
        ).id;
      this.#markers.set(destination.name, markerId);
      return { ...source, markerId };
    } catch (error) {
      signal.throwIfAborted();
      throw inDestination(destination.name, error);
    }
  }

  /**
   * Of a destination and its credential's encrypted file as they are now.
   * @throws GranaryError where that cannot be opened
   */
  async fingerprintOf(destination: Destination): Promise<string> {
    const { credential } = destination;
    return fingerprintOf(destination, credential && (await this.#credentials.printOf(credential)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = await Promise.allSettled([...this.#open.values(), ...this.#replaced]);
    await Promise.all(
      opened.map((one) => (one.status === 'fulfilled' ? one.value.store.close() : undefined)),
    );
    this.#open.clear();
  }

  async #prepare(
    destination: Destination,
    { signal, seed = this.#seed }: CallOptions & { readonly seed?: string },
  ): Promise<void> {
    const { name } = destination;
    let probing: Probing;
    try {
      const credential = await this.#credentialOf(destination);
      probing = { destination, credential, fingerprint: await this.fingerprintOf(destination) };
    } catch (error) {
      signal.throwIfAborted();
      // Whoever opens it gets the same error.
      this.readiness.note(destination, error);
      return;
    }
    if (this.readiness.isKnown(probing)) return;
    const asIs = { credential: probing.credential, conditionalWrites: true };
    const before = this.readiness.choiceOf(name) ?? asIs;
    if (!(await this.#adopt(probing, seed, signal))) await this.readiness.probe(probing, { signal });
    const after = this.readiness.choiceOf(name);
    const opened = this.#open.get(name);
    const isOther =
      before.conditionalWrites !== after?.conditionalWrites || before.credential !== after.credential;
    if (opened === undefined || !isOther) return;
    this.#open.delete(name);
    this.#replaced.push(opened);
  }

  /** What somebody else found and wrote down there: a command that is run every hour need not probe every hour. */
  async #adopt(probing: Probing, seed: string, signal: AbortSignal): Promise<boolean> {
    if (this.readiness.choiceOf(probing.destination.name) !== undefined) return false;
    try {
      const { store } = await this.open(probing.destination);
      const status = await within(statusMs, signal, (limited) =>
        readStatus(store, seed, { signal: limited }),
      );
      const found = status?.destinations[probing.destination.name];
      return found !== undefined && this.readiness.adopt(probing, found);
    } catch {
      signal.throwIfAborted();
      return false;
    }
  }

  async #credentialOf({ credential }: Destination): Promise<OpenCredential | null> {
    return credential === null ? null : this.#credentials.open(credential);
  }

  async #openStore(destination: Destination): Promise<Source> {
    const { name } = destination;
    try {
      const choice = this.readiness.choiceOf(name);
      const store = await openStore(
        destination,
        choice?.credential ?? (await this.#credentialOf(destination)),
        {
          stallMs: this.#stallMs,
          sessionName: `granary-${this.#seed}`,
          ...(choice !== undefined && { conditionalWrites: choice.conditionalWrites }),
        },
      );
      return { name, store };
    } catch (error) {
      throw inDestination(name, error);
    }
  }
}

/** Opens several, each failing alone. */
export async function openAll<T>(
  destinations: readonly Destination[],
  open: (destination: Destination) => Promise<T>,
): Promise<{ readonly opened: readonly T[]; readonly unopened: readonly Unopened[] }> {
  const results = await Promise.allSettled(destinations.map(open));
  const opened: T[] = [];
  const unopened: Unopened[] = [];
  for (const [index, result] of results.entries()) {
    const name = destinations[index]?.name ?? '';
    if (result.status === 'fulfilled') opened.push(result.value);
    else unopened.push({ name, error: asGranaryError(result.reason, 'store-failed') });
  }
  return { opened, unopened };
}
