/** Whether a destination can be used: opened, signed in to, written, read, listed, and its conditions kept. */
import { ulid } from 'ulid';
import { buildKey, markerKey } from '../catalog/keys.ts';
import { readMarker } from '../catalog/marker.ts';
import { type CheckResult, type CheckStep, failed, passed, warned } from '../model/check.ts';
import { clockToleranceMs } from '../model/clocks.ts';
import type { Destination } from '../model/config.ts';
import { asGranaryError, isGranaryError, withoutDestination } from '../model/errors.ts';
import { maskAccessKey } from '../model/mask.ts';
import type { Attempt } from '../model/names.ts';
import { urlOf } from '../model/place.ts';
import { formatDuration } from '../model/units.ts';
import { isDoneWithout, type ProbeResult, probeStore } from '../store/probe.ts';
import { readFacts } from '../store/read-facts.ts';
import type { CallOptions, Store } from '../store/store.ts';
import { placeSteps } from './check-place.ts';
import type { Workspace } from './workspace.ts';

/** Clocks round to seconds and answers take their time: less than this says nothing. */
const noticeableMs = 5_000;

/** @param seed below which the probe's object lies */
export async function checkDestination(
  workspace: Workspace,
  destination: Destination,
  seed: string,
  { signal }: CallOptions,
): Promise<CheckResult> {
  const result = (steps: readonly CheckStep[]): CheckResult => ({
    kind: 'destination',
    name: destination.name,
    what: whatIs(destination),
    steps,
  });
  const opening = destination.provider === 'filesystem' ? 'folder' : 'sign in';
  let store: Store;
  try {
    ({ store } = await workspace.destinations.open(destination));
  } catch (error) {
    signal.throwIfAborted();
    return result([refused(opening, destination, error)]);
  }
  const begun = await signIn(workspace, destination, store, opening, signal);
  if (begun.some(({ verdict }) => verdict === 'fail')) return result(begun);
  if (destination.locked) {
    const hint = 'set `locked: false` to have writing tried too';
    return result([...begun, warned('locked', 'no backup goes there, so nothing was written', hint)]);
  }
  const key = buildKey({ type: 'probe', seed, id: ulid() as Attempt });
  const probe = await probeStore(store, key, { signal });
  return result([
    ...begun,
    ...stepsOf(probe),
    ...(await settingsSteps(workspace, destination, seed, signal)),
  ]);
}

/** The first request: it tells whether address, bucket and credentials are right. It reads the marker, so that is told too. */
async function signIn(
  workspace: Workspace,
  destination: Destination,
  store: Store,
  name: string,
  signal: AbortSignal,
): Promise<CheckStep[]> {
  const signedIn = passed(name, await signedInAs(workspace, destination));
  try {
    const marker = await readMarker(store, { signal });
    const detail = marker === null ? 'not there yet: the first backup writes it' : `destination ${marker.id}`;
    return [signedIn, passed(markerKey, detail)];
  } catch (error) {
    signal.throwIfAborted();
    const isOurs = isGranaryError(error, 'marker-mismatch', 'format-too-new');
    // Who may not read is known all the same; the folder of a filesystem has nobody to know.
    const isKnown = isGranaryError(error, 'access-denied') && destination.provider !== 'filesystem';
    if (isOurs || isKnown) return [signedIn, refused(markerKey, destination, error)];
    return [refused(name, destination, error)];
  }
}

/** What the provider says of the bucket. It is no matter for failure where it says nothing. */
async function settingsSteps(
  workspace: Workspace,
  destination: Destination,
  seed: string,
  signal: AbortSignal,
): Promise<CheckStep[]> {
  try {
    const { credential: name } = destination;
    const credential = name === null ? null : await workspace.credentials.open(name);
    const facts = await readFacts(destination, credential, { signal, sessionName: `granary-${seed}` });
    return facts === null ? [] : placeSteps(facts, destination);
  } catch (error) {
    signal.throwIfAborted();
    const { message, hint } = asGranaryError(error, 'store-failed');
    return [warned('settings', `unknown: ${withoutDestination(destination.name, message)}`, hint ?? null)];
  }
}

/** The masked id of the access key, and the role; null where there is neither in the configuration. */
async function signedInAs(workspace: Workspace, destination: Destination): Promise<string | null> {
  const who = await signer(workspace, destination);
  const role = destination.provider === 's3' ? destination.assumeRole : null;
  if (role === null) return who;
  const name = role.roleArn.replace(/^.*:role\//, '');
  return who === null ? `as role ${name}` : `${who}, role ${name}`;
}

async function signer(
  workspace: Workspace,
  { credential, useInstanceRole }: Destination,
): Promise<string | null> {
  if (credential === null) return useInstanceRole ? 'as the role of this machine' : null;
  const values = await workspace.credentials.open(credential);
  const id = values.get('accessKeyId')?.reveal();
  return id === undefined ? null : `as ${maskAccessKey(id)}`;
}

/** What a probe found, as steps of a check. */
export function stepsOf(probe: ProbeResult): CheckStep[] {
  const { steps, clockSkewMs } = probe;
  const tried = steps.map((step) => {
    const { name, ok, detail, hint } = step;
    if (ok) return passed(name, detail);
    return (isDoneWithout(step, probe) ? warned : failed)(name, detail ?? 'it failed', hint);
  });
  const clock = clockSkewMs === null ? [] : [clockStep(clockSkewMs)];
  return [...tried, ...clock];
}

function clockStep(skewMs: number): CheckStep {
  const size = Math.abs(skewMs);
  if (size < noticeableMs) return passed('clock', 'this machine and the store agree');
  const detail = `this machine is ${formatDuration(size)} ${skewMs > 0 ? 'ahead of' : 'behind'} the store`;
  const hint = 'set this machine’s clock by NTP; if it is right, tell whoever runs the store';
  return size > clockToleranceMs ? failed('clock', detail, hint) : warned('clock', detail, hint);
}

function refused(name: string, destination: Destination, thrown: unknown): CheckStep {
  const { message, hint } = asGranaryError(thrown, 'store-failed');
  return failed(name, withoutDestination(destination.name, message), hint ?? null);
}

function whatIs(destination: Destination): string {
  if (destination.provider === 'filesystem') return `folder ${destination.path}`;
  const { endpoint } = destination;
  const own = destination.provider === 's3' ? ` in ${destination.region}` : '';
  return `${urlOf(destination)}${endpoint === null ? own : ` at ${endpoint}`}`;
}
