/** Work by cluster: never two jobs of one cluster at a time, a few clusters at a time, whoever waits longest first. */

export interface ClusterJob {
  readonly cluster: string;
  /** Frees what the job holds. Called once, whether it ran or not. */
  release(): void;
}

/**
 * Jobs that wait can be replaced, because each plan says anew what there is to do; jobs that run are never touched. A
 * cluster that hangs takes one place and delays itself only.
 */
export class ClusterQueue<Job extends ClusterJob> {
  readonly #limit: number;
  readonly #run: (job: Job) => Promise<void>;
  readonly #onEnd: (job: Job) => void;
  /** A Map keeps the place of a cluster whose job is replaced: nobody is overtaken by being planned again. */
  readonly #waiting = new Map<string, Job>();
  readonly #running = new Map<string, { readonly job: Job; readonly ended: Promise<void> }>();
  #closed = false;

  /**
   * @param limit jobs that run at the same time
   * @param run must not reject
   * @param onEnd called when a job has ended and others may have begun
   */
  constructor(limit: number, run: (job: Job) => Promise<void>, onEnd: (job: Job) => void) {
    this.#limit = limit;
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

  #startWhatMay(): void {
    for (const [cluster, job] of this.#waiting) {
      if (this.#running.size >= this.#limit) return;
      if (this.#running.has(cluster)) continue;
      this.#waiting.delete(cluster);
      const ended = this.#run(job).finally(() => {
        this.#running.delete(cluster);
        job.release();
        this.#startWhatMay();
        this.#onEnd(job);
      });
      this.#running.set(cluster, { job, ended });
    }
  }
}
