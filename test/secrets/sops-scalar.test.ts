/** Plain parts of any kind, signed by the real sops: what Granary reckons is what sops signed. */
import { writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isGranaryError } from '../../src/model/errors.ts';
import { lintCredentialFile, openCredentialFile } from '../../src/secrets/credential-file.ts';
import type { Identities } from '../../src/secrets/identities.ts';
import { describeWith } from '../servers/describe.ts';
import { tempFolder } from '../servers/temp.ts';
import { encrypt, identitiesOf, type KeyPair, keyPair, sops } from './sops-tool.ts';

describeWith(['sops'], 'SOPS files that are no Credentials', () => {
  const folder = tempFolder('scalars');
  let key: KeyPair;
  let identities: Identities;
  beforeAll(async () => {
    key = await keyPair();
    identities = await identitiesOf(key);
  });
  afterAll(() => folder.remove());

  const open = (text: string) =>
    openCredentialFile({ file: 'x.yaml', text, identities, plainPart: 'any' }).then(
      ({ values }) => values.get('a')?.reveal(),
      (error: unknown) => {
        if (!isGranaryError(error)) throw error;
        return `${error.code}: ${error.message}`;
      },
    );
  /** As YAML: JSON knows no infinity. */
  async function sopsReads(text: string): Promise<number> {
    writeFileSync(folder.join('read.yaml'), text);
    return (await sops(folder, [key], 'decrypt', 'read.yaml')).code;
  }

  const file = (values: readonly string[]) =>
    `list:\n${values.map((value) => `  - ${value}\n`).join('')}data:\n  a: secret\n`;

  test.each([
    ['integers', ['0', '017', '0o17', '0b101', '0x1F', '1_000', '-5', '+5', '-0', '9223372036854775807']],
    [
      'numbers that are none',
      ['0o8', '09', '1__0', '0x', '1.2.3', '12a', '-', '+', '1e', '_1', '0b2', '-0x'],
    ],
    [
      'floats',
      [
        '1.5',
        '1.',
        '.5',
        '-.5',
        '1e3',
        '1E-7',
        '1e21',
        '1.0',
        '0.1',
        '123456789012345678901',
        '1_0.5',
        '1e400',
      ],
    ],
    ['infinite', ['.inf', '-.INF', '+.Inf', '.nan', '.Nan']],
    [
      'moments',
      [
        '2024-01-02',
        '2024-1-2',
        '2024-02-30',
        '2024-13-01',
        '2024-01-02T03:04:05Z',
        '2024-01-02T03:04:05.120+01:00',
        '2024-01-02t3:4:5Z',
        '2024-01-02 03:04:05',
        '2024-01-02 03:04:05.5',
        '2024-01-02T03:04:05',
        '2024-01-02T03:04:05.1234567891Z',
        '2024-01-02T25:04:05Z',
        '2024-w5',
        '2024-01-02T03:04:05+00:00',
        '0001-01-01',
        '2023-02-29',
        '0000-02-29',
      ],
    ],
    ['words', ['true', 'False', 'yes', 'no', 'on', '~', 'null', '""', '{}', '[]', 'Null', 'TRUE', 'y']],
    ['texts', ['"017"', "'1e3'", '"a: b"', 'é', '"\\u263a"', 'a#b', '12:30', '1:2:3', '10.0.0.1']],
  ])('%s are signed as sops signs them', async (_name, values) => {
    for (const value of values) {
      // One by one, so that a fault is told by its value.
      const text = await encrypt(folder, [key], file([value]));
      expect([value, await sopsReads(text)]).toEqual([value, 0]);
      expect([value, await open(text)]).toEqual([value, 'secret']);
      expect(lintCredentialFile({ file: 'x', text, recipients: null, plainPart: 'any' })).toEqual([]);
    }
  });

  test('random scalars', async () => {
    const digits = fc.string({
      unit: fc.constantFrom(...'0123456789_.-+eExobTZ: '),
      minLength: 1,
      maxLength: 12,
    });
    const number = fc.oneof(fc.double().map(String), fc.bigInt({ max: 2n ** 63n - 1n }).map(String));
    const value = fc
      .oneof(digits, number)
      .filter((text) => /^[^\s:-]([^\n]*[^\s:])?$/.test(text) && !/: | #/.test(text));
    let read = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(value, { minLength: 1, maxLength: 12 }), async (values) => {
        const text = await encrypt(folder, [key], file(values)).catch(() => null);
        // What sops cannot sign, nobody has to read.
        if (text === null) return;
        read += 1;
        expect([values, await open(text)]).toEqual([values, 'secret']);
      }),
      { numRuns: 60 },
    );
    expect(read).toBeGreaterThan(20);
  });

  test('what sops sees changed is refused, and integers that it cannot sign', async () => {
    const text = await encrypt(folder, [key], file(['017', '2024-01-02']));
    expect(await open(text.replace('- 15', '- 16').replace('- 017', '- 018'))).toMatch(/^sops-tampered/);
    expect(await open(text.replace('2024-01-02', '2024-01-03'))).toMatch(/^sops-tampered/);
    expect(await open(text.replace('2024-01-02T00:00:00Z', '18446744073709551615'))).toMatch(/^sops-invalid/);
    expect(await open(text.replace('2024-01-02T00:00:00Z', '<<'))).toMatch(/^sops-invalid/);
  });
});
