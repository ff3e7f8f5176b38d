/** In which order the destinations of a run are published. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { OpenDestination } from './destination.ts';
import type { Snapshot } from './snapshot.ts';

/** How long destinations whose data is stored wait for those that come before them in the policy. */
const turnMs = 10_000;

/**
 * Destinations as they are to be published: in the policy's order, so that of two runs that race one loses everywhere.
 * One that is still uploading when the others have waited for a while comes after them: two attempts of one slot can be
 * lived with, a backup that is stored and not published for hours cannot.
 */
export async function* inTurn(
  destinations: readonly OpenDestination[],
  snapshot: Pick<Snapshot, 'stored'>,
): AsyncGenerator<OpenDestination> {
  const ended = new Set<string>();
  const uploads = new Map(
    destinations.map(({ name }) => [name, snapshot.stored(name).then(() => ended.add(name))]),
  );
  const left = [...destinations];
  let patience: Promise<unknown> | null = null;
  while (left.length > 0) {
    await Promise.race(left.map(({ name }) => uploads.get(name)));
    const [first] = left;
    if (first !== undefined && !ended.has(first.name)) {
      patience ??= sleep(turnMs, undefined, { ref: false });
      await Promise.race([uploads.get(first.name), patience]);
    }
    const next = left.findIndex(({ name }) => ended.has(name));
    yield* left.splice(next, 1);
  }
}
