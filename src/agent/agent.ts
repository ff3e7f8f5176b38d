/** The daemon: everything it consists of, put together and taken apart in order. */

import { clearLeftovers, scratchIn } from '../backup/drill/scratch.ts';
import type { DrillPlace } from '../execute/action.ts';
import { saveMemory } from '../execute/heap.ts';
import { packageVersion } from '../execute/version.ts';
import type { Source } from '../git/source.ts';
import type { Identities } from '../secrets/identities.ts';
import { RememberedCredentials } from '../secrets/remembered.ts';
import { type Access, type Listen, serve } from './http.ts';
import { lockState } from './lock.ts';
import type { Log } from './log.ts';
import { Loop } from './loop.ts';
import { makeMetrics } from './metrics.ts';
import { Notifier } from './notify/notifier.ts';
import { leads, newAgentState } from './state.ts';

export interface AgentOptions {
  /** Opens the source of the configuration. Disposing of it removes what it made for that. */
  readonly openSource: (signal: AbortSignal) => Promise<Source & AsyncDisposable>;
  readonly identities: Identities;
  /** Only this seed; null: every seed of the configuration. */
  readonly seed: string | null;
  /** How often the source is looked at, in milliseconds. */
  readonly intervalMs: number;
  readonly listen: Listen;
  /** Who may ask over HTTP. */
  readonly access: Access;
  /** Is called with what looks at the source at once, for whoever hears first that it moved. */
  readonly onStart?: ((pollNow: () => void) => void) | undefined;
  /** Of one agent at a time; null: nothing is kept between runs. */
  readonly stateFolder: string | null;
  readonly log: Log;
  /** Milliseconds that running actions have to end when the agent is told to; default 25 s. */
  readonly drainMs?: number | undefined;
  readonly now?: (() => Date) | undefined;
  readonly spoolFolder?: string | undefined;
  /** What drills are made with; default: the etcd on the PATH, and the system's temporary folder. */
  readonly drills?: DrillPlace | undefined;
}

/**
 * Runs until `drain` fires: then nothing new begins, and it returns when what runs has ended or was aborted.
 * @throws GranaryError `state-locked`, `listen-failed`, and what the source cannot be opened for at the start
 */
export async function runAgent(options: AgentOptions, drain: AbortSignal): Promise<void> {
  const { log, stateFolder, now = () => new Date(), drainMs = 25_000 } = options;
  saveMemory();
  await using stack = new AsyncDisposableStack();
  // First of all: what follows writes to that folder.
  if (stateFolder !== null) stack.use(await lockState(stateFolder));
  const { drills = {} } = options;
  // An agent that was killed may have left the secrets of a cluster, and an etcd that serves them.
  await clearLeftovers(scratchIn(drills.scratch));
  const state = newAgentState(now());
  const metrics = makeMetrics(state, now, options.spoolFolder);
  let pollNow = () => {};
  const { listen, access } = options;
  const onPush = () => {
    log.info('told of a push');
    pollNow();
  };
  const { url } = stack.use(await serve({ listen, access, state, metrics, now, onPush }));
  const notifier = await Notifier.open({
    log,
    now,
    stateFolder,
    onResult: metrics.notified,
    leads: (seed) => leads(state, seed),
  });
  const { replica } = state;
  const started = { version: packageVersion(), pid: process.pid, replica, listen: url, seed: options.seed };
  log.info(started, 'agent started');
  const remembered = stateFolder === null ? undefined : new RememberedCredentials(stateFolder);
  const loop = new Loop({ ...options, drills, remembered, state, metrics, notifier, now, drainMs });
  pollNow = () => loop.pollNow();
  options.onStart?.(pollNow);
  await loop.run(drain);
  log.info('agent ended');
}
