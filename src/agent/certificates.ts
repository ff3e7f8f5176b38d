/** Looks every few hours when the certificates of a seed's clusters end, so that somebody hears of it before that day. */
import { certificateEnds } from '../execute/certificates.ts';
import { etcdTarget } from '../execute/etcd-target.ts';
import type { Workspace } from '../execute/workspace.ts';
import type { Cluster } from '../model/config.ts';
import { Deadline, Moment } from '../store/deadline.ts';
import type { Log } from './log.ts';
import type { Shared } from './shared.ts';
import type { CertificateTimes, SeedState } from './state.ts';

export interface CertificateWatchOptions {
  readonly state: SeedState;
  readonly log: Log;
  readonly now: () => Date;
  /** Ends what runs: there is nothing to lose. */
  readonly signal: AbortSignal;
}

const pauseMs = 6 * 3_600_000;
/** One that ends sooner is told in the log, as `granary check` tells it. */
const noticeMs = 30 * 86_400_000;

export class CertificateWatch {
  readonly #options: CertificateWatchOptions;
  /** Until then nobody looks; null: at once. */
  #pause: Deadline | null = null;
  #running: Promise<void> | null = null;

  constructor(options: CertificateWatchOptions) {
    this.#options = options;
  }

  /** Endpoints or certificates may be others now. */
  renew(): void {
    this.#pause = null;
  }

  /** Begins to look where the last look is some hours ago. Returns at once. */
  tick(current: Shared<Workspace>): void {
    if (this.#running !== null || this.#options.signal.aborted || this.#pause?.hasPassed === false) return;
    this.#pause = new Deadline(new Moment(), pauseMs);
    const held = current.hold();
    this.#running = this.#look(held.value).finally(() => {
      held.release();
      this.#running = null;
    });
  }

  /** Resolves when a look that was under way when the signal fired has ended. */
  async close(): Promise<void> {
    await this.#running;
  }

  async #look({ desired, credentials }: Workspace): Promise<void> {
    const { state, signal } = this.#options;
    const clusters = (
      desired.configuration.seeds.find(({ name }) => name === state.seed)?.clusters ?? []
    ).filter(({ enabled }) => enabled);
    const named = new Set(clusters.map(({ name }) => name));
    for (const name of state.certificates.keys()) if (!named.has(name)) state.certificates.delete(name);
    for (const cluster of clusters) {
      if (signal.aborted) return;
      try {
        const target = await etcdTarget(state.seed, cluster, credentials);
        const { ends } = await certificateEnds(target, cluster.endpoints, { signal });
        this.#note(cluster, {
          client: earliest(ends.filter(({ endpoint }) => endpoint === null)),
          member: earliest(ends.filter(({ endpoint }) => endpoint !== null)),
        });
      } catch {
        // Whatever cannot be opened or reached is told by the backup that fails for it.
      }
    }
  }

  /** What could not be asked this time keeps its end: a member whose certificate has ended refuses each handshake. */
  #note({ name, tls, endpoints }: Cluster, found: CertificateTimes): void {
    const { state, log, now } = this.#options;
    const known = tls === null && endpoints.every(isPlain) ? undefined : state.certificates.get(name);
    const client = found.client ?? known?.client ?? null;
    const member = found.member ?? known?.member ?? null;
    state.certificates.set(name, { client, member });
    for (const [certificate, end] of Object.entries({ client, member })) {
      if (end === null || end.getTime() - now().getTime() > noticeMs) continue;
      log.warn({ cluster: name, certificate, end: end.toISOString() }, 'certificate ends soon');
    }
  }
}

function earliest(ends: readonly { readonly end: Date }[]): Date | null {
  const times = ends.map(({ end }) => end.getTime());
  return times.length === 0 ? null : new Date(Math.min(...times));
}

function isPlain(endpoint: string): boolean {
  return endpoint.startsWith('http://');
}
