/**
 * Work by cluster: never two jobs of one cluster at a time, a few clusters at a time, whoever waits longest first. Clusters
 * that do not answer have places of their own, so that however many they are they delay only each other.
 */

export interface ClusterJob {
  readonly cluster: string;
  /** Its last run failed, so this one may hang: it waits for a place among its like. */
  readonly isSuspect: boolean;
  /** Frees what the job holds. Called once, whether it ran or not. */
  release(): void;
}

/** Jobs that run at the same time. */
export interface Places {
  /** Of clusters that nothing is known against. */
  readonly common: number;
  /** Of suspects. */
  readonly suspect: number;
  /** Of those that began in a common place and have not been answered for a while. */
  readonly aside: number;
}

type Lane = keyof Places;

interface Running<Job> {
  readonly job: Job;
  lane: Lane;
  readonly ended: Promise<void>;
}

/**
 * Jobs that wait can be replaced, because each plan says anew what there is to do; jobs that run are never touched. A
 * cluster that hangs delays itself only.
 */
export class ClusterQueue<Job extends ClusterJob> {
  readonly #places: Places;
  readonly #run: (job: Job) => Promise<void>;
  readonly #onEnd: (job: Job) => void;
  /** A Map keeps the place of a cluster whose job is replaced: nobody is overtaken by being planned again. */
  readonly #waiting = new Map<string, Job>();
  readonly #running = new Map<string, Running<Job>>();
  #closed = false;

  /**
   * @param run must not reject
   * @param onEnd called when a job has ended and others may have begun
   */
  constructor(places: Places, run: (job: Job) => Promise<void>, onEnd: (job: Job) => void) {
    this.#places = places;
    this.#run = run;
    this.#onEnd = onEnd;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  get waitingClusters(): readonly string[] {
    return [...this.#waiting.keys()];
  }

  get running(): readonly Job[] {
    return [...this.#running.values()].map(({ job }) => job);
  }

  get isIdle(): boolean {
    return this.#waiting.size === 0 && this.#running.size === 0;
  }

  /** The job of a cluster that runs now. */
  runningOf(cluster: string): Job | undefined {
    return this.#running.get(cluster)?.job;
  }

  /** The job of a cluster waits for an answer: its place is another's, where there is room for it to wait. */
  stepAside(cluster: string): void {
    const own = this.#running.get(cluster);
    if (own?.lane !== 'common' || !this.#hasRoom('aside')) return;
    own.lane = 'aside';
    this.#startWhatMay();
  }

  /** It goes on. It counts as before, even where its place is taken: then the next to begin waits for two ends. */
  stepBack(cluster: string): void {
    const own = this.#running.get(cluster);
    if (own?.lane === 'aside') own.lane = 'common';
  }

  /** These jobs wait, in place of all that waited before. One whose cluster has a job running waits for that. */
  replaceWaiting(jobs: readonly Job[]): void {
    const wanted = new Map(jobs.map((job) => [job.cluster, job]));
    for (const [cluster, old] of this.#waiting) {
      old.release();
      const next = wanted.get(cluster);
      if (next === undefined || this.#closed) this.#waiting.delete(cluster);
      else this.#waiting.set(cluster, next);
      wanted.delete(cluster);
    }
    for (const job of wanted.values()) {
      if (this.#closed) job.release();
      else this.#waiting.set(job.cluster, job);
    }
    this.#startWhatMay();
  }

  /** Nothing new begins. Resolves when all that runs has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    this.replaceWaiting([]);
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  #hasRoom(lane: Lane): boolean {
    const taken = [...this.#running.values()].filter((one) => one.lane === lane).length;
    return taken < this.#places[lane];
  }

  #startWhatMay(): void {
    for (const [cluster, job] of this.#waiting) {
      const lane = job.isSuspect ? 'suspect' : 'common';
      if (this.#running.has(cluster) || !this.#hasRoom(lane)) continue;
      this.#waiting.delete(cluster);
      const ended = this.#run(job).finally(() => {
        this.#running.delete(cluster);
        job.release();
        this.#startWhatMay();
        this.#onEnd(job);
      });
      this.#running.set(cluster, { job, lane, ended });
    }
  }
}
