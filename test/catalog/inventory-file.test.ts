/** Inventories as files: whatever the pieces they come in, and however they are laid out. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatInventory, type InventoryFile, parseInventory } from '../../src/catalog/inventory-file.ts';
import { copyOf, hourly, read, slot, unknown } from '../plan/fixtures.ts';

const inventory: InventoryFile = {
  formatVersion: 1,
  takenAt: '2026-11-21T14:03:00Z',
  repositoryId: null,
  seed: null,
  destinations: [
    read('one', [
      ...hourly('a', '2026-11-21T14:00:00Z', 2_500),
      copyOf('ü\n"]}', slot('2026-11-21T14:00:00Z'), {
        tombstone: { due: '2026-11-24T00:00:00Z', id: '01', written: '2026-11-21T00:00:00Z', settled: false },
        proofs: [{ kind: 'drill', ok: true, time: '2026-11-21T00:00:00Z' }],
      }),
    ]),
    unknown('two'),
    read('three', []),
  ],
};
const text = [...formatInventory(inventory)].join('');
/** What a plan needs of it. */
const planned = {
  ...inventory,
  destinations: inventory.destinations.map((destination) =>
    destination.status === 'unknown'
      ? destination
      : {
          ...destination,
          copies: destination.copies.map(({ attempt: _, fallback: __, manifestEtag: ___, ...rest }) => rest),
        },
  ),
};

async function* inPieces(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
const parse = (json: string, size = 65_536) => parseInventory(inPieces(Buffer.from(json), size));

test('what is written is JSON, and is read back the same, in pieces of any size', async () => {
  expect(JSON.parse(text)).toEqual(inventory);
  for (const size of [1_000_000, 65_536, 997]) expect(await parse(text, size)).toEqual(planned);
  expect(
    await parse(text.slice(0, text.indexOf('\n')).replace('"destinations":[', '"destinations":[]}')),
  ).toMatchObject({
    destinations: [],
  });
});

test('another layout of the same is read as well', async () => {
  expect(await parse(JSON.stringify(inventory))).toEqual(planned);
  expect(await parse(JSON.stringify(inventory, null, 2))).toEqual(planned);
});

test('what is cut off anywhere is refused, and never a shorter inventory', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: text.length - 4 }), async (length) => {
      await expect(parse(text.slice(0, length))).rejects.toMatchObject({ code: 'inventory-invalid' });
    }),
    { numRuns: 50 },
  );
});

test('a field of another type is refused wherever it stands', async () => {
  for (const [from, to] of [
    ['"formatVersion":1', '"formatVersion":"1"'],
    ['"takenAt":"2026', '"takenAt":"x2026'],
    ['"status":"read"', '"status":"empty"'],
    ['"foreign":0', '"foreign":null'],
    ['"slot":"20261121T140000Z"', '"slot":"../../x"'],
    ['"storedBytes":1000000', '"storedBytes":"1"'],
    ['"settled":false', '"settled":0'],
    ['"fallback":false', '"fallback":null'],
    ['"manifestEtag":"etag"', '"manifestEtag":5'],
    ['"attempt":null', '"attempt":false'],
  ] as const) {
    expect(text).toContain(from);
    await expect(parse(text.replace(from, to)), to).rejects.toMatchObject({ code: 'inventory-invalid' });
    const pretty = JSON.stringify(JSON.parse(text.replace(from, to)), null, 1);
    await expect(parse(pretty), to).rejects.toMatchObject({ code: 'inventory-invalid' });
  }
});

test('lines that are not one list are refused: a comma too few, a comma too many', async () => {
  const between = text.indexOf('},\n{', text.indexOf('"copies":[')) + 1;
  const few = `${text.slice(0, between)}${text.slice(between + 1)}`;
  const many = text.replace('}\n]', '},\n]');
  for (const json of [few, many]) {
    expect(() => JSON.parse(json)).toThrow();
    await expect(parse(json)).rejects.toMatchObject({ code: 'inventory-invalid' });
  }
});

test('line ends of Windows, a mark of UTF-8 and empty lines are read over', async () => {
  const changed = `\uFEFF${text.replaceAll('\n', '\r\n').replace('},\r\n{', '},\r\n\r\n{')}`;
  for (const size of [65_536, 997]) expect(await parse(changed, size)).toEqual(planned);
});
