/** Long output: made as it is taken, cut short where nobody reads, and the same as if it had been made at once. */
import { Writable } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { writeLines } from '../../src/cli/write-lines.ts';
import { jsonLines } from '../../src/report/json-lines.ts';

const line = 'x'.repeat(999);

function* counted(total: number, made: { count: number }): Generator<string, void, undefined> {
  for (; made.count < total; made.count += 1) yield line;
}

/** Takes what is written only when it is told to. */
function slowStream() {
  const waiting: (() => void)[] = [];
  const pieces: string[] = [];
  const stream = new Writable({
    highWaterMark: 1,
    decodeStrings: false,
    write: (piece: string, _encoding, done) => {
      pieces.push(piece);
      waiting.push(done);
    },
  });
  return { stream, pieces, take: () => waiting.shift()?.() };
}

const { signal } = new AbortController();

test('no line is made before there is room for it, and none is lost', async () => {
  const { stream, pieces, take } = slowStream();
  const made = { count: 0 };
  const writing = writeLines(stream, counted(1_000, made), signal);
  for (let taken = 1; made.count < 1_000; taken += 1) {
    await new Promise(setImmediate);
    expect(made.count).toBeLessThan(taken * 70);
    take();
  }
  await new Promise(setImmediate);
  take();
  await writing;
  expect(pieces.join('')).toBe(`${line}\n`.repeat(1_000));
});

test('where nobody reads any more it ends, and an abort makes it reject', async () => {
  const closed = slowStream();
  const made = { count: 0 };
  const writing = writeLines(closed.stream, counted(1_000, made), signal);
  closed.stream.destroy();
  await writing;
  expect(made.count).toBeLessThan(100);

  const abort = new AbortController();
  const aborted = writeLines(slowStream().stream, counted(1_000, { count: 0 }), abort.signal);
  abort.abort(new Error('interrupted'));
  await expect(aborted).rejects.toThrow('interrupted');
});

test('JSON in lines is what JSON.stringify makes of the whole', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 7 }), (value) => {
      expect([...jsonLines(value)].join('\n')).toBe(JSON.stringify(value, null, 2));
    }),
  );
  const plan = {
    dryRun: true,
    items: [{ a: undefined, actions: [{ id: 'x\ny', at: new Date(0) }], none: [] }],
  };
  expect([...jsonLines(plan)].join('\n')).toBe(JSON.stringify(plan, null, 2));
});
