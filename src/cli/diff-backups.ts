/** What `diff` tells. */
import { diffKeys, type KeyChange } from '../bolt/diff-keys.ts';
import { utf8 } from '../bolt/value-form.ts';
import { groupingPrefix } from '../model/kubernetes-key.ts';
import { formatBytes, formatCount } from '../model/units.ts';
import { table } from '../report/table.ts';
import { unifiedDiff } from '../report/unified-diff.ts';
import { exitCodes, type Io } from './io.ts';
import { bytesJson, keyText, valueJson, valueText } from './key-words.ts';
import { type LookOptions, type NamedSnapshot, openWhat, readerOf, readRevision } from './look.ts';
import { jsonPieces, printList } from './stdout.ts';

export interface DiffOptions extends LookOptions {
  atRevisionA?: string;
  atRevisionB?: string;
  keys?: boolean;
  values?: boolean;
  detailedExitcode?: boolean;
}

/** Tells what differs between `a` and `b`. @throws GranaryError `usage`, and as `openWhat` */
export async function diff(
  io: Io,
  a: string,
  b: string,
  prefix: string,
  options: DiffOptions,
): Promise<void> {
  const [revisionA, revisionB] = [readRevision(options.atRevisionA), readRevision(options.atRevisionB)];
  await using stack = new AsyncDisposableStack();
  const before = stack.use(await openWhat(io, a, options));
  const after = a === b ? before : stack.use(await openWhat(io, b, options));
  const read = (snapshot: NamedSnapshot, revision: number | undefined) =>
    readerOf(io, snapshot, { prefix: Buffer.from(prefix), revision, values: true });
  const one = stack.use(await read(before, revisionA));
  const other = stack.use(await read(after, revisionB));
  const [{ revision: from }, { revision: to }] = await Promise.all([one.first(), other.first()]);
  const tally = new Tally();
  const changes = tally.count(diffKeys(one.records(), other.records()));
  if (options.output === 'json') {
    const items = itemsOf(changes, options.values === true);
    const rest = () => ({ revisions: { a: from, b: to }, ...tally.summary() });
    await printList(jsonPieces(items, rest));
  } else if (options.keys || options.values) {
    await printList(linesOf(changes, options.values === true));
    io.out(tally.text(from, to));
  } else {
    const first: string[] = [];
    for await (const change of changes) if (first.length < shownKeys) first.push(lineOf(change));
    const hidden = tally.differing - first.length;
    const more = hidden > 0 ? [`… ${formatCount(hidden)} more; --keys lists all`] : [];
    const parts = [tally.table(io.width), [...first, ...more].join('\n'), tally.text(from, to)];
    io.out(parts.filter((part) => part !== '').join('\n\n'));
  }
  if (options.detailedExitcode && tally.differing > 0) io.exitCode = exitCodes.pending;
}

const shownKeys = 100;
/** Prefixes to count by; what belongs to others is counted together. */
const maxPrefixes = 1_000;
const otherPrefixes = 'other prefixes';

type Difference = Exclude<KeyChange, { readonly change: 'unchanged' }>;
type Counts = Record<KeyChange['change'], number>;

/** Counts what goes through. */
class Tally {
  readonly #total: Counts = { added: 0, changed: 0, removed: 0, unchanged: 0 };
  readonly #prefixes = new Map<string, Counts>();

  async *count(changes: AsyncIterable<KeyChange>): AsyncGenerator<Difference> {
    for await (const change of changes) {
      this.#total[change.change] += 1;
      if (change.change === 'unchanged') continue;
      const prefix = groupingPrefix(utf8(keyOf(change)) ?? '');
      const known = this.#prefixes.has(prefix) || this.#prefixes.size < maxPrefixes;
      const name = known ? prefix : otherPrefixes;
      const counts = this.#prefixes.get(name) ?? { added: 0, changed: 0, removed: 0, unchanged: 0 };
      counts[change.change] += 1;
      this.#prefixes.set(name, counts);
      yield change;
    }
  }

  get differing(): number {
    const { added, changed, removed } = this.#total;
    return added + changed + removed;
  }

  summary(): Record<string, unknown> {
    const prefixes = [...this.#prefixes].map(([prefix, { unchanged: _, ...counts }]) => ({
      prefix,
      ...counts,
    }));
    return { summary: this.#total, prefixes };
  }

  table(width: number): string {
    if (this.#prefixes.size === 0) return '';
    const right = { align: 'right' } as const;
    const titles = [
      { title: 'ADDED', ...right },
      { title: 'CHANGED', ...right },
      { title: 'REMOVED', ...right },
    ];
    const rows = [...this.#prefixes].map(([prefix, { added, changed, removed }]) => [
      ...[added, changed, removed].map(formatCount),
      prefix === '' ? '(no prefix)' : prefix,
    ]);
    return table([...titles, { title: 'PREFIX' }], rows, { width });
  }

  text(from: number, to: number): string {
    const { added, changed, removed, unchanged } = this.#total;
    const counts = [
      `${formatCount(added)} added`,
      `${formatCount(changed)} changed`,
      `${formatCount(removed)} removed`,
      `${formatCount(unchanged)} unchanged`,
    ];
    return `${counts.join(', ')}, from revision ${formatCount(from)} to ${formatCount(to)}.`;
  }
}

async function* itemsOf(changes: AsyncIterable<Difference>, withValues: boolean): AsyncGenerator<object> {
  for await (const change of changes) {
    const side = (record: Difference['before']) =>
      record && {
        modRevision: record.modRevision,
        valueBytes: record.valueLength,
        ...(withValues && record.value !== null && valueJson(record.value)),
      };
    const { before, after } = change;
    yield {
      change: change.change,
      ...bytesJson('key', keyOf(change)),
      before: side(before),
      after: side(after),
    };
  }
}

async function* linesOf(changes: AsyncIterable<Difference>, withValues: boolean): AsyncGenerator<string> {
  for await (const change of changes) {
    yield `${lineOf(change)}\n`;
    if (withValues) yield valueLines(change);
  }
}

function lineOf(change: Difference): string {
  const { before, after } = change;
  const key = keyText(keyOf(change));
  if (after === null) return `- ${key}`;
  if (before === null) return `+ ${key}`;
  const revisions = `revision ${formatCount(before.modRevision)} -> ${formatCount(after.modRevision)}`;
  return `~ ${key}  ${revisions}, ${formatBytes(before.valueLength)} -> ${formatBytes(after.valueLength)}`;
}

/** What changed in the value, as people would have read it; what is gone or new as a whole. */
function valueLines({ before, after }: Difference): string {
  const text = (record: Difference['before']) =>
    record?.value == null ? '' : `${valueText(record.value)}\n`;
  const [old, fresh] = [text(before), text(after)];
  if (old === fresh) return '    (the bytes differ, and cannot be shown)\n';
  return unifiedDiff({ path: '', before: old, after: fresh })
    .split('\n')
    .slice(2)
    .filter((line) => line !== '' && !line.startsWith('@@'))
    .map((line) => `    ${line}\n`)
    .join('');
}

function keyOf({ before, after }: KeyChange): Uint8Array {
  return (after ?? before).key;
}
