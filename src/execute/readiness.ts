/**
 * Which destinations are ready: each is probed before it is first used, and again when it, or its credential, has
 * changed. What was found outlives a configuration, so that a new credential replaces the old one only after its probe
 * has passed (design section 7).
 */
import { createHash } from 'node:crypto';
import { ulid } from 'ulid';
import { buildKey } from '../catalog/keys.ts';
import type { DestinationReadiness } from '../catalog/status.ts';
import type { Destination } from '../model/config.ts';
import {
  asGranaryError,
  type ErrorCode,
  GranaryError,
  inDestination,
  withoutDestination,
} from '../model/errors.ts';
import type { Attempt } from '../model/names.ts';
import { type OpenOptions, openStore } from '../store/open.ts';
import { isDoneWithout, type ProbeResult, type ProbeStep, probeStore } from '../store/probe.ts';
import type { CallOptions } from '../store/store.ts';
import type { OpenCredential } from './credentials.ts';

/** How a destination is to be opened now. */
export interface OpenChoice {
  readonly credential: OpenCredential | null;
  readonly conditionalWrites: boolean;
}

/** What there is to probe. */
export interface Probing {
  readonly destination: Destination;
  readonly credential: OpenCredential | null;
  /** Of the destination and its credential: what was found holds for as long as this is the same. */
  readonly fingerprint: string;
}

/** What one probe found, whichever credential it signed in with. */
interface Found extends Pick<DestinationReadiness, 'ready' | 'usable' | 'conditionalWrites' | 'problem'> {
  /** Of the problem. */
  readonly code: ErrorCode | null;
}

interface Known {
  readonly readiness: DestinationReadiness;
  readonly code: ErrorCode | null;
  readonly choice: OpenChoice;
  /** Of the place alone, whoever signs in: a former credential is none for another place. */
  readonly place: string;
  readonly at: number;
  /** It failed since. */
  readonly isDoubted?: boolean;
}

/** One that does not answer must not hold up the others for as long as a backup would wait for it. */
const patience: OpenOptions = { stallMs: 15_000, retry: { attempts: 3, budgetMs: 15_000 } };
/** How long a failure is believed before the next use tries again. */
const believedMs = 60_000;
/** Without these nothing can be stored or found again. */
const needed: readonly string[] = ['write', 'read', 'range', 'list'];

export class Readiness {
  readonly #seed: string;
  readonly #known = new Map<string, Known>();
  readonly #running = new Map<string, { readonly fingerprint: string; readonly done: Promise<void> }>();
  readonly #now: () => Date;
  #hasNews = false;

  /** @param seed below which the objects of the probes lie */
  constructor(seed: string, now: () => Date = () => new Date()) {
    this.#seed = seed;
    this.#now = now;
  }

  /** What is known, by the name of the destination. */
  all(): Readonly<Record<string, DestinationReadiness>> {
    return Object.fromEntries([...this.#known].map(([name, { readiness }]) => [name, readiness]).sort());
  }

  /** Something was found that was not told yet. */
  get hasNews(): boolean {
    return this.#hasNews;
  }

  told(): void {
    this.#hasNews = false;
  }

  /** Destinations of which something does not work, each with what it is. */
  notReady(): [name: string, code: ErrorCode | null][] {
    return [...this.#known].filter(([, one]) => !one.readiness.ready).map(([name, { code }]) => [name, code]);
  }

  /** How to open a destination, where it was probed; undefined: as the configuration says. */
  choiceOf(name: string): OpenChoice | undefined {
    return this.#known.get(name)?.choice;
  }

  /** Takes over what somebody else has found of the same destination and credential. */
  adopt({ destination, credential, fingerprint }: Probing, readiness: DestinationReadiness): boolean {
    if (readiness.fingerprint !== fingerprint || !readiness.ready || readiness.former) return false;
    const choice = { credential, conditionalWrites: readiness.conditionalWrites };
    const at = this.#now().getTime();
    this.#known.set(destination.name, { readiness, code: null, choice, place: placeOf(destination), at });
    return true;
  }

  /** Its credential cannot be opened, so there is nothing to probe with. */
  note(destination: Destination, thrown: unknown): void {
    const known = this.#known.get(destination.name);
    const found = unopened(destination.name, thrown);
    const place = placeOf(destination);
    if (known?.place === place && known.readiness.usable) {
      const { problem, code } = found;
      this.#known.set(destination.name, {
        ...known,
        code,
        readiness: { ...known.readiness, ready: false, former: true, problem },
      });
      return;
    }
    this.#known.set(
      destination.name,
      this.#note(found, { credential: null, place, fingerprint: '0'.repeat(64), former: false }),
    );
  }

  /** It could not be read a moment ago: the next use tries anew. */
  doubt(name: string): void {
    const known = this.#known.get(name);
    if (known !== undefined) this.#known.set(name, { ...known, isDoubted: true });
  }

  /** Whether what is known still holds. */
  isKnown({ destination, fingerprint }: Probing): boolean {
    const known = this.#known.get(destination.name);
    if (known === undefined || known.readiness.fingerprint !== fingerprint || known.isDoubted) return false;
    const ageMs = this.#now().getTime() - known.at;
    // Dated in the future where the clock was set back since.
    return known.readiness.ready || (ageMs >= 0 && ageMs < believedMs);
  }

  /** Forgets destinations that the configuration does not name any more. */
  keepOnly(names: readonly string[]): void {
    for (const name of this.#known.keys()) if (!names.includes(name)) this.#known.delete(name);
  }

  /**
   * Probes unless what is known still holds. Several who ask at once wait for one probe.
   * @throws the signal's reason; whatever else goes wrong is what was found
   */
  async probe(probing: Probing, { signal }: CallOptions): Promise<void> {
    if (this.isKnown(probing)) return;
    const { name } = probing.destination;
    const running = this.#running.get(name);
    if (running?.fingerprint === probing.fingerprint) {
      await running.done;
      return;
    }
    const done = this.#probe(probing, signal).then((known) => {
      this.#known.set(name, known);
      this.#hasNews = true;
    });
    this.#running.set(name, { fingerprint: probing.fingerprint, done });
    try {
      await done;
    } finally {
      if (this.#running.get(name)?.done === done) this.#running.delete(name);
    }
  }

  /** @throws GranaryError what the last probe failed with, where nothing can be stored in a destination */
  requireUsable(name: string): void {
    const known = this.#known.get(name);
    if (known === undefined || known.readiness.usable) return;
    const { code, readiness } = known;
    const { message = 'the probe failed', hint } = readiness.problem ?? {};
    throw inDestination(name, new GranaryError(code ?? 'store-failed', message, { hint: hint ?? undefined }));
  }

  async #probe(probing: Probing, signal: AbortSignal): Promise<Known> {
    const { destination, credential, fingerprint } = probing;
    const place = placeOf(destination);
    const before = this.#known.get(destination.name);
    const found = await this.#try(destination, credential, signal);
    const known = this.#note(found, { credential, place, fingerprint, former: false });
    const former = before?.place === place && before.readiness.usable ? before.choice.credential : null;
    if (found.usable || former === null || isSame(former, credential)) return known;
    // What is in Git does not work: the former credential goes on, where it still does.
    const still = await this.#try(destination, former, signal);
    if (!still.usable) return known;
    const { problem, code } = found;
    return this.#note(
      { ...still, ready: false, problem, code },
      { credential: former, place, fingerprint, former: true },
    );
  }

  #note(
    { code, ...found }: Found,
    of: { credential: OpenCredential | null; place: string; fingerprint: string; former: boolean },
  ): Known {
    const { credential, place, fingerprint, former } = of;
    const now = this.#now();
    return {
      readiness: { probedAt: now.toISOString(), fingerprint, ...found, former },
      code,
      choice: { credential, conditionalWrites: found.conditionalWrites },
      place,
      at: now.getTime(),
    };
  }

  async #try(
    destination: Destination,
    credential: OpenCredential | null,
    signal: AbortSignal,
  ): Promise<Found> {
    try {
      const sessionName = `granary-${this.#seed}`;
      const store = await openStore(destination, credential, { ...patience, sessionName });
      try {
        const key = buildKey({ type: 'probe', seed: this.#seed, id: ulid() as Attempt });
        return verdictOf(await probeStore(store, key, { signal }));
      } finally {
        await store.close();
      }
    } catch (error) {
      signal.throwIfAborted();
      return unopened(destination.name, error);
    }
  }
}

function verdictOf(probe: ProbeResult): Found {
  const bad = probe.steps.filter((step) => !step.ok && !isDoneWithout(step, probe));
  return {
    ready: bad.length === 0,
    usable: !bad.some(({ name }) => needed.includes(name)),
    conditionalWrites: probe.conditions !== 'missing',
    ...problemOf(bad[0]),
  };
}

function problemOf(step: ProbeStep | undefined): Pick<Found, 'problem' | 'code'> {
  if (step === undefined) return { problem: null, code: null };
  const { name, code, detail, hint } = step;
  return { problem: { step: name, message: short(detail ?? 'it failed'), hint: hint && short(hint) }, code };
}

/** What is found of a destination that cannot even be opened. */
function unopened(name: string, thrown: unknown): Found {
  const { code, message, hint } = asGranaryError(thrown, 'store-failed');
  const detail = withoutDestination(name, message);
  const step: ProbeStep = { name: 'sign in', ok: false, code, detail, hint: hint ?? null };
  return { ready: false, usable: false, conditionalWrites: true, ...problemOf(step) };
}

/** Messages repeat what stores say, which is as long as they like. */
function short(text: string): string {
  return text.length <= 1_000 ? text : `${text.slice(0, 1_000)}…`;
}

function isSame(a: OpenCredential, b: OpenCredential | null): boolean {
  return a.size === b?.size && [...a].every(([name, value]) => b.get(name)?.reveal() === value.reveal());
}

/** The place alone, whoever signs in. */
function placeOf({ credential: _, position: __, ...place }: Destination): string {
  return JSON.stringify(place);
}

/** @param print of the credential's encrypted file; null: it has none */
export function fingerprintOf({ position: _, ...destination }: Destination, print: string | null): string {
  return createHash('sha256')
    .update(JSON.stringify([destination, print]))
    .digest('hex');
}
