import { unpackKeys } from '../bolt/key-batch.ts';
import type { StoredKey } from '../bolt/keys.ts';
import { GranaryError, usage } from '../model/errors.ts';
import { formatCount } from '../model/units.ts';
import type { Io } from './io.ts';
import { keyJson, keyText, objectText, valueJson, valueText } from './key-words.ts';
import { type LookOptions, openWhat, readerOf, readRevision } from './look.ts';
import { requirePipe, writeStdout } from './stdout.ts';

export interface CatOptions extends LookOptions {
  atRevision?: string;
  raw?: boolean;
  base64?: boolean;
}

/** Shows the value of a key. @throws GranaryError `key-not-found`, `usage`, and as `openWhat` */
export async function cat(io: Io, what: string, text: string, options: CatOptions): Promise<void> {
  if (options.raw) {
    if (options.output === 'json') throw usage('--raw and -o json contradict each other', 'give one of them');
    requirePipe('a value with --raw', 'pipe it on, or leave --raw out');
  }
  const revision = readRevision(options.atRevision);
  const key = Buffer.from(text, options.base64 ? 'base64' : 'utf8');
  if (key.length === 0) throw usage('the key is empty', 'give a key as `granary ls` lists it');
  await using snapshot = await openWhat(io, what, options);
  await using reader = await readerOf(io, snapshot, { key, revision, values: true });
  const { keys, revision: shownAt, compactRevision, seen } = await reader.first();
  const [record] = unpackKeys(keys);
  if (record?.value == null)
    throw missing(key, { revision: shownAt, compactRevision, deletedAt: seen?.deletedAt ?? null });
  if (options.raw) await writeStdout(once(record.value));
  else if (options.output === 'json') {
    const shown = { ...keyJson(record), revision: shownAt, ...valueJson(record.value) };
    io.out(JSON.stringify(shown, null, 2));
  } else {
    io.err(headOf(record));
    io.out(valueText(record.value));
  }
}

/** Above the value, and not part of it. */
function headOf({ key, modRevision, version }: StoredKey): string {
  const object = objectText(key);
  const written = version === 1 ? 'written once' : `written ${formatCount(version)} times`;
  return `${object === undefined ? '' : `${object}, `}revision ${formatCount(modRevision)}, ${written}`;
}

function missing(
  key: Uint8Array,
  at: { readonly revision: number; readonly compactRevision: number; readonly deletedAt: number | null },
): GranaryError {
  const { revision, compactRevision, deletedAt } = at;
  const before = deletedAt === null ? null : deletedAt - 1;
  const hint =
    before === null || before < Math.max(1, compactRevision)
      ? '`granary ls` lists the keys there are'
      : `revision ${deletedAt} deleted it: --at-revision ${before} shows what it was`;
  return new GranaryError('key-not-found', `there is no key ${keyText(key)} at revision ${revision}`, {
    hint,
    context: { revision, deletedAt },
  });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
