/** Verification that mends: a bad copy is replaced by a sound one of the same attempt, byte for byte. */
import { readManifestAt } from '../backup/destination.ts';
import { repairCopy, requireKey } from '../backup/repair.ts';
import { resultError } from '../backup/result.ts';
import type { FoundCopy } from '../catalog/candidates.ts';
import { type FoundBackup, findBackup } from '../catalog/find.ts';
import { holdLease } from '../catalog/leases.ts';
import { manifestKeyOf } from '../catalog/manifests.ts';
import { GranaryError } from '../model/errors.ts';
import { formatBackupRef } from '../model/names.ts';
import { openSources } from './find.ts';
import {
  soundInWords,
  type VerifyOptions,
  type VerifyResult,
  verifyCopies,
  verifyOne,
  writeReadProof,
} from './verify.ts';
import type { Workspace } from './workspace.ts';

/** The copies of one backup that were verified. */
interface Group {
  readonly found: FoundBackup | null;
  readonly sound: FoundCopy[];
  readonly bad: BadCopy[];
}

interface BadCopy {
  readonly copy: FoundCopy;
  readonly result: VerifyResult;
}

/** What is wrong with the objects themselves. A network that fails is nothing that a repair could mend. */
const mendable: readonly string[] = ['backup-damaged', 'object-missing', 'manifest-invalid'];

/**
 * Verifies as `verifyBackups` does, and repairs each bad copy from a sound one: of those named or, where none of them
 * is, of another destination. Results of bad copies come after the others of their backup. A copy that was never made
 * is no bad one: a plan says whether it is to be made. Only an abort throws.
 */
export async function* repairBackups(
  workspace: Workspace,
  names: readonly string[],
  options: VerifyOptions,
): AsyncGenerator<VerifyResult> {
  let group: Group = { found: null, sound: [], bad: [] };
  for await (const { found, copy, result } of verifyCopies(workspace, names, options)) {
    if (found !== group.found) {
      yield* mended(workspace, group, options);
      group = { found, sound: [], bad: [] };
    }
    if (copy !== null && isMendable(result)) {
      group.bad.push({ copy, result });
      continue;
    }
    if (copy !== null && result.depth === 'content') group.sound.push(copy);
    yield copy === null && isMendable(result)
      ? { ...result, notRepaired: resultError(unknown(result)) }
      : result;
  }
  yield* mended(workspace, group, options);
}

function isMendable({ error }: VerifyResult): boolean {
  return error !== null && mendable.includes(error.code);
}

async function* mended(
  workspace: Workspace,
  { found, sound, bad }: Group,
  options: VerifyOptions,
): AsyncGenerator<VerifyResult> {
  if (found === null) return;
  for (const { copy, result } of bad) {
    try {
      requireMayBeWritten(workspace, copy);
      requireKey(found.manifest, workspace.credentials.identities);
      const from = sound[0] ?? (await findSound(workspace, found, options));
      // The next bad copy need not look for it again.
      if (sound.length === 0) sound.push(from);
      yield await mend(workspace, found, from, copy, result, options);
    } catch (error) {
      options.signal.throwIfAborted();
      yield { ...result, notRepaired: resultError(error) };
    }
  }
}

/** Repairs one copy under leases on both sides, and leaves a fresh proof beside it. */
async function mend(
  workspace: Workspace,
  found: FoundBackup,
  from: FoundCopy,
  to: FoundCopy,
  result: VerifyResult,
  { signal, onProgress }: VerifyOptions,
): Promise<VerifyResult> {
  const source = { name: from.destination, store: from.store };
  const target = { name: to.destination, store: to.store, manifestKey: manifestKeyOf(to.copy) };
  await using _lease = await holdLease([source, target], found, 'verify', {
    signal,
    onWarning: (message) => onProgress?.({ type: 'warning', message }),
  });
  const stored = await readManifestAt(from.store, manifestKeyOf(from.copy), { signal });
  if (stored.manifest.attempt !== found.attempt) throw noSound(found);
  const { identities } = workspace.credentials;
  const replaced = await repairCopy(stored, source, target, { signal, onProgress, identities });
  const known = to.copy.proofs.map((proof) => Date.parse(proof.time));
  // Of two proofs of the same second the bad one counts, and a moment ago this copy was found to be bad.
  const time = new Date(Math.max(Date.now(), ...known) + 1_000);
  await writeReadProof(found, target, { ok: true, detail: soundInWords, time }, { signal, onProgress });
  // Where nothing was bad at the second look, nothing was repaired either.
  if (replaced.length === 0) return { ...result, outcome: 'ok', depth: 'content', error: null };
  return { ...result, outcome: 'repaired', depth: 'content', repairedFrom: from.destination };
}

/** A copy of the same attempt in another destination than those that were verified, sound to its last byte. */
async function findSound(
  workspace: Workspace,
  found: FoundBackup,
  options: VerifyOptions,
): Promise<FoundCopy> {
  const { signal } = options;
  const tried = new Set(found.copies.map(({ destination }) => destination));
  const { sources } = await openSources(workspace, found.seed);
  for (const source of sources.filter(({ name }) => !tried.has(name))) {
    const { seed, cluster, policy, slot } = found;
    const query = { seed, cluster, policy, slot, destination: source.name };
    const other = await findBackup([source], query, { signal }).catch(() => null);
    signal.throwIfAborted();
    const copy = other?.copies[0];
    if (other?.attempt !== found.attempt || copy === undefined) continue;
    if ((await verifyOne(workspace, other, copy, options)).depth === 'content') return copy;
  }
  throw noSound(found);
}

function requireMayBeWritten({ desired }: Workspace, { destination, copy }: FoundCopy): void {
  const { destinations } = desired.configuration;
  if (destinations.find(({ name }) => name === destination)?.locked) {
    throw new GranaryError(
      'destination-locked',
      `destination ${destination} is locked, so nothing is written there`,
      {
        hint: 'set `locked: false` first if it may be written to',
      },
    );
  }
  if (copy.tombstone?.settled && copy.pinnedUntil === null) {
    throw new GranaryError('blocked', `the copy on ${destination} is being removed`, {
      hint: 'nothing has to be done: the next pass goes on with its removal',
    });
  }
}

function noSound(found: FoundBackup): GranaryError {
  return new GranaryError(
    'backup-damaged',
    `there is no copy of attempt ${found.attempt} of ${formatBackupRef(found)} that was read to its end and is sound`,
    { hint: '`granary get backups` lists the others' },
  );
}

/** Which attempt it is of can be told by a sound copy only, if at all. */
function unknown({ id, destination }: VerifyResult): GranaryError {
  const [name, at] = id.split('@');
  return new GranaryError('backup-damaged', `nobody knows of which attempt the copy on ${destination} is`, {
    hint:
      at === undefined
        ? 'remove what lies there by hand once another copy was read and is sound'
        : `name the backup without @${at}, so that other copies can tell: ${name}`,
  });
}
