/** `restore --keys PREFIX --into CLUSTER`: some keys of a backup, put back into a running cluster. */
import type { Command } from 'commander';
import type { KeyRestore, KeyStep } from '../execute/restore-keys.ts';
import { GranaryError, usage } from '../model/errors.ts';
import { parseKubernetesKey } from '../model/kubernetes-key.ts';
import { commandLine } from '../model/shell.ts';
import { formatBytes, formatCount } from '../model/units.ts';
import { openInto } from './into.ts';
import { exitCodes, type Io } from './io.ts';
import { bytesJson, keyText, leaseText } from './key-words.ts';
import type { KeysFlags } from './keys-options.ts';
import { type LookOptions, type NamedSnapshot, openNamedBackup, readerOf, readRevision } from './look.ts';
import { givenWords } from './options.ts';
import { jsonPieces, printAll } from './stdout.ts';

export interface KeysSource {
  /** A backup by its name, or a snapshot file. */
  readonly backup?: string | undefined;
  readonly file?: string | undefined;
  readonly at?: Date | undefined;
}

/** @param command to tell how it is run again */
export async function restoreKeys(
  io: Io,
  source: KeysSource,
  options: LookOptions & KeysFlags,
  command: Command,
): Promise<void> {
  const { keys: prefix, into } = options;
  if (prefix === undefined) throw usage('--into without --keys', 'say which keys: --keys PREFIX');
  if (into === undefined)
    throw usage(
      '--keys without --into',
      'say where to: --into ENDPOINTS, or --into SEED/CLUSTER of the configuration',
    );
  const revision = readRevision(options.atRevision);
  const planned = readRevision(options.plannedAt);
  const rate = readRate(options.rate);
  const { connectAny } = await import('../execute/etcd-login.ts');
  const { KeyRestore } = await import('../execute/restore-keys.ts');
  const { target, explain } = await openInto(io, into, options);
  // Before the backup is read, which may take a while.
  using connection = await connectAny(target, explain, { signal: io.signal });
  await using snapshot = await openSource(io, source, options);
  const bytes = Buffer.from(prefix);
  const which = options.exact ? { key: bytes } : { prefix: bytes };
  await using reader = await readerOf(io, snapshot, { ...which, revision, values: true });
  const { revision: from } = await reader.first();
  const status = await connection.status({ signal: io.signal });
  const plannedAt = planned ?? status.revision;
  if (plannedAt > status.revision)
    throw usage(
      `${connection.endpoint} is at revision ${status.revision}, before the plan's ${plannedAt}: it is another cluster, or was restored since`,
      'run it without --planned-at and --yes for a new plan',
    );
  const write = options.yes === true;
  const restore = new KeyRestore(connection, {
    ...{ keys: which, plannedAt, write, rate, explain, signal: io.signal },
    onlyMissing: options.onlyMissing === true,
    includeLeased: options.includeLeased === true,
  });
  const there = { endpoint: connection.endpoint, clusterId: status.clusterId, revision: status.revision };
  const words = givenWords(command, ['yes', 'plannedAt', 'at', 'progress', 'output', 'file']);
  const again = nextCommand(source, snapshot.name, words, plannedAt);
  const notes = new Notes(restore);
  const steps = await begun(restore, notes.over(restore.run(reader.records())));
  // Nothing to be done because nothing is there is a slip of the prefix, and no success.
  if (Object.values(restore.counts).every((count) => count === 0))
    throw noSuchKey(snapshot.name, prefix, { isExact: options.exact === true, revision: from });
  try {
    if (options.output === 'json') {
      const rest = () => ({
        ...{ from: snapshot.name, fromRevision: from, into: there, dryRun: !write, plan: restore.counts },
        ...{ onlyThere: restore.onlyThere, written: restore.written, conflicts: restore.conflicts },
        notes: notes.all(),
        next: write ? null : again,
      });
      await printAll(jsonPieces(itemsOf(steps), rest));
    } else {
      io.err(`from       ${snapshot.name}, revision ${formatCount(from)}`);
      io.err(
        `into       ${there.endpoint}, cluster ${there.clusterId}, revision ${formatCount(there.revision)}`,
      );
      await printAll(linesOf(steps));
      io.out(`${summaryOf(restore)}${write ? '' : ' Nothing was written.'}`);
      for (const note of notes.all()) io.err(`note       ${note}`);
    }
  } catch (error) {
    if (restore.written > 0) io.exitCode = exitCodes.partly;
    throw error;
  }
  if (restore.failure !== null) {
    io.exitCode = restore.written > 0 ? exitCodes.partly : exitCodes.failed;
    throw afterSome(restore);
  }
  if (restore.conflicts + restore.counts.newer > 0) io.exitCode = exitCodes.partly;
  if (options.output === 'json') return;
  if (write) io.out(endOf(restore));
  else if (restore.counts.create + restore.counts.overwrite > 0) io.out(`next       ${again}`);
  else io.out('Nothing is to be done.');
}

/** The steps, once the first is done: what fails before it fails before anything is printed. */
async function begun(restore: KeyRestore, steps: AsyncGenerator<KeyStep>): Promise<AsyncIterable<KeyStep>> {
  const first = await steps.next();
  if (restore.failure !== null && restore.written === 0) throw afterSome(restore);
  return (async function* () {
    if (first.done) return;
    yield first.value;
    yield* steps;
  })();
}

function noSuchKey(
  name: string,
  prefix: string,
  { isExact, revision }: { readonly isExact: boolean; readonly revision: number },
): GranaryError {
  const key = keyText(Buffer.from(prefix));
  const what = isExact ? `there is no key ${key} in ${name}` : `no key in ${name} begins with ${key}`;
  return new GranaryError('key-not-found', `${what}, at revision ${formatCount(revision)}`, {
    hint: '`granary ls` lists the keys there are',
    context: { revision },
  });
}

async function openSource(io: Io, source: KeysSource, options: LookOptions): Promise<NamedSnapshot> {
  if (source.file === undefined) return openNamedBackup(io, source.backup ?? '', options, source.at);
  const { file } = source;
  await using stack = new AsyncDisposableStack();
  const { openSnapshotFile } = await import('../execute/snapshots.ts');
  const { analyseInWorker } = await import('../bolt/worker-client.ts');
  const { requireSound, unhashedWarning } = await import('../backup/restore-file.ts');
  const snapshot = stack.use(await openSnapshotFile(file));
  const report = await analyseInWorker(snapshot.fd, snapshot.size, { digest: true }, { signal: io.signal });
  requireSound(report, file);
  if (report.trailer === 'missing') io.warn(unhashedWarning(file));
  const opened = stack.move();
  return { ...snapshot, name: file, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/** A rerun of the same, written out: of the same backup, and only over what was there when the plan was made. */
function nextCommand(source: KeysSource, name: string, given: readonly string[], plannedAt: number): string {
  const what = source.file === undefined ? [name] : ['--file', name];
  return commandLine('granary', 'restore', ...what, ...given, '--planned-at', `${plannedAt}`, '--yes');
}

/** What to know before or after, gathered while the keys go by. */
class Notes {
  readonly #restore: KeyRestore;
  #kubernetes = false;

  constructor(restore: KeyRestore) {
    this.#restore = restore;
  }

  async *over(steps: AsyncIterable<KeyStep>): AsyncGenerator<KeyStep> {
    for await (const step of steps) {
      if (step.outcome !== 'none' && parseKubernetesKey(keyText(step.key)) !== undefined)
        this.#kubernetes = true;
      yield step;
    }
  }

  all(): string[] {
    const { counts, encryptedWith } = this.#restore;
    const notes: string[] = [];
    if (this.#kubernetes)
      notes.push(
        'keys of Kubernetes: stop the API servers before, or restart them afterwards, so that their watch caches begin anew with what is there; an object put back has the uid and the owners that it had then',
      );
    for (const name of encryptedWith)
      notes.push(`values encrypted by Kubernetes (provider ${name}): its API servers must have that key`);
    if (counts.leased > 0)
      notes.push(
        `${keyCount(counts.leased)} had a lease, which nobody keeps alive any more: left out (--include-leased puts them there without one, for ever)`,
      );
    return notes;
  }
}

const signs = {
  ...{ create: '+', overwrite: '~', unchanged: '=', kept: '.', newer: 'x', leased: '.' },
} as const satisfies Record<KeyStep['action'], string>;
const shownKeys = 100;

/** The first of those that differ. */
async function* linesOf(steps: AsyncIterable<KeyStep>): AsyncGenerator<string> {
  let count = 0;
  let hidden = 0;
  for await (const step of steps) {
    if (step.action === 'unchanged') continue;
    count += 1;
    // Somebody else's write is told, however many there are.
    const isOthers = step.action === 'newer' || step.outcome === 'conflict';
    if (count <= shownKeys || isOthers) yield `${lineOf(step)}\n`;
    else hidden += 1;
  }
  if (hidden > 0) yield `… ${formatCount(hidden)} more; -o json lists all\n`;
  if (count > 0) yield '\n';
}

function lineOf({ action, outcome, key, wanted, there }: KeyStep): string {
  const sign = outcome === 'conflict' ? 'x' : signs[action];
  const name = `${sign} ${keyText(key)}`;
  if (outcome === 'conflict')
    return `${name}  was written by somebody else in this moment, and is left alone`;
  if (action === 'leased') return `${name}  had lease ${leaseText(wanted)}, left out`;
  if (there === null) return `${name}  ${formatBytes(wanted.valueLength)}`;
  const revision = formatCount(there.modRevision);
  if (action === 'newer')
    return `${name}  was written at revision ${revision}, after the plan, and is left alone`;
  const sizes = `${formatBytes(there.valueLength)} -> ${formatBytes(wanted.valueLength)}`;
  return `${name}  revision ${revision} there, ${sizes}${action === 'kept' ? ', left alone' : ''}`;
}

async function* itemsOf(steps: AsyncIterable<KeyStep>): AsyncGenerator<object> {
  for await (const { action, outcome, key, wanted, there } of steps) {
    const sizes = { valueBytes: wanted.valueLength, lease: leaseText(wanted) };
    const now = there && {
      modRevision: there.modRevision,
      valueBytes: there.valueLength,
      lease: leaseText(there),
    };
    yield { action, outcome, ...bytesJson('key', key), ...sizes, there: now };
  }
}

function summaryOf({ counts, onlyThere }: KeyRestore): string {
  const { create, overwrite, unchanged, kept, newer, leased } = counts;
  const more = [
    [kept, 'there with another value and left alone'],
    [newer, 'written after the plan and left alone'],
    [leased, 'left out for their lease'],
    [onlyThere, 'only in the cluster and left alone'],
  ] as const;
  const others = more
    .flatMap(([count, what]) => (count === 0 ? [] : [`, ${formatCount(count)} ${what}`]))
    .join('');
  return `Plan: ${formatCount(create)} to create, ${formatCount(overwrite)} to overwrite, ${formatCount(unchanged)} unchanged${others}.`;
}

function endOf({ written, conflicts }: KeyRestore): string {
  const lost =
    conflicts === 0
      ? ''
      : `; ${keyCount(conflicts)} somebody else wrote in the same moment: look at them, and run it again`;
  return `written    ${keyCount(written)}${lost}`;
}

/** What ended it, and how far it came. */
function afterSome({ failure, written }: KeyRestore): GranaryError {
  const error = failure ?? new GranaryError('internal', 'nothing failed');
  const { code, cause, context } = error;
  const done = written === 0 ? 'nothing was written' : `${keyCount(written)} written until then stay`;
  return new GranaryError(code, `${error.message}; ${done}`, {
    hint: `${error.hint === undefined ? '' : `${error.hint}; `}the same command goes on with what is left`,
    ...{ cause, context: { ...context, written } },
  });
}

function keyCount(count: number): string {
  return `${formatCount(count)} key${count === 1 ? '' : 's'}`;
}

/** @throws GranaryError `usage` */
function readRate(text: string | undefined): number {
  if (text === undefined) return defaultRate;
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw usage(`\`${text}\` is no number of keys a second`, 'give a whole number from 1 on');
}

/** A cluster that works goes on doing so. */
const defaultRate = 200;
