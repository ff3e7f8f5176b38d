import type { OpenDestination } from '../backup/destination.ts';
import type { Source } from '../catalog/inventory.ts';
import { ensureMarker } from '../catalog/marker.ts';
import type { Destination } from '../model/config.ts';
import { asGranaryError, type GranaryError, inDestination } from '../model/errors.ts';
import { openStore } from '../store/open.ts';
import type { CallOptions } from '../store/store.ts';
import type { Credentials } from './credentials.ts';

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
  readonly #stallMs: number;
  readonly #sessionName: string;

  /** @param options.seed in the name of sessions, so that the log of a provider tells whose they are */
  constructor(
    credentials: Credentials,
    options: { readonly stallMs?: number; readonly seed?: string | undefined } = {},
  ) {
    this.#credentials = credentials;
    this.#stallMs = options.stallMs ?? 60_000;
    this.#sessionName = `granary-${options.seed ?? 'agent'}`;
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

  /** As `open`, and makes sure of the marker, which makes the place a destination. */
  async openForWriting(destination: Destination, { signal }: CallOptions): Promise<OpenDestination> {
    const source = await this.open(destination);
    try {
      const known = this.#markers.get(destination.name);
      const markerId = known ?? (await ensureMarker(source.store, new Date(), { signal })).id;
      this.#markers.set(destination.name, markerId);
      return { ...source, markerId };
    } catch (error) {
      signal.throwIfAborted();
      throw inDestination(destination.name, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = await Promise.allSettled(this.#open.values());
    await Promise.all(
      opened.map((one) => (one.status === 'fulfilled' ? one.value.store.close() : undefined)),
    );
    this.#open.clear();
  }

  async #openStore(destination: Destination): Promise<Source> {
    try {
      const credential =
        destination.credential === null ? null : await this.#credentials.open(destination.credential);
      const store = await openStore(destination, credential, {
        stallMs: this.#stallMs,
        sessionName: this.#sessionName,
      });
      return { name: destination.name, store };
    } catch (error) {
      throw inDestination(destination.name, error);
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
