/**
 * Whatever stands in a file: no crash, no hang, and every rejection says where. `GRANARY_CONFIG_CASES=10000` asks for
 * the long run, `GRANARY_CONFIG_SEED` for the cases of another one.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { diagnosticCodes } from '../../src/config/codes.ts';
import { loadConfiguration } from '../../src/config/index.ts';
import type { Diagnostic } from '../../src/model/config.ts';
import { committedFiles, root } from '../house/repository.ts';
import { tempFolder } from '../servers/temp.ts';
import { ruleCases } from './cases-rules.ts';
import { scopeCases } from './cases-scopes.ts';
import { brokenFile } from './mutations.ts';
import { now, unmarked } from './support.ts';

const cases = Number(process.env.GRANARY_CONFIG_CASES ?? 400);
/** The target, which is told and not asserted: the machine may be busy with something else. A hang ends the test. */
const slowMs = 1_000;

/** As users load it, and what it took of the processor. */
async function loadTimed(path: string): Promise<{ ms: number; diagnostics: readonly Diagnostic[] }> {
  const before = process.cpuUsage();
  const { diagnostics } = await loadConfiguration(path, { now });
  const { user, system } = process.cpuUsage(before);
  return { ms: (user + system) / 1_000, diagnostics };
}

/** Every example but most of the fleet's seeds, which are all alike, and the cases of all rules, right and wrong. */
function originals(): string[] {
  const examples = committedFiles().filter((file) => /^examples\/.*\/[^.][^/]*\.ya?ml$/.test(file));
  const different = examples.filter((file) => !file.includes('fleet/seeds/') || file.endsWith('osaka.yaml'));
  const rules = [ruleCases, scopeCases].flatMap((some) => Object.values(some)).flatMap(Object.values<string>);
  return [
    ...different.map((file) => readFileSync(join(root, file), 'utf8')),
    ...new Set(rules.map(unmarked)),
  ];
}

/** What is wrong with a diagnostic, in words; null where a person can go by it. */
function faultOf(diagnostic: Diagnostic, file: string, content: Buffer): string | null {
  const { line, column, code, message, hint, severity } = diagnostic;
  // Some are about the folder as a whole.
  if (diagnostic.file !== file && diagnostic.file !== '.') return `is in ${diagnostic.file}`;
  const lines = diagnostic.file === '.' ? [''] : content.toString('utf8').split('\n');
  const text = lines[line - 1];
  if (text === undefined || !Number.isInteger(line)) return `line ${line} of ${lines.length}`;
  if (!Number.isInteger(column) || column < 1 || column > text.length + 1) {
    return `column ${column} of line ${line}, which has ${text.length}`;
  }
  if (!diagnosticCodes.some((known) => known === code)) return `the code ${code}`;
  if (message === '') return 'no message';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;
  if (control.test(message) || control.test(hint ?? ''))
    return `a control character in ${JSON.stringify(message + hint)}`;
  return severity === 'error' || severity === 'warning' ? null : `severity ${severity}`;
}

let slowest: { ms: number; content: Buffer } = { ms: 0, content: Buffer.alloc(0) };
let rejected = 0;
let slow = 0;
const folder = tempFolder('fuzz');
beforeAll(() => mkdirSync(folder.join('config')));
afterAll(() => folder[Symbol.dispose]());

test(`${cases} broken files: none crashes or hangs, and every rejection has its place`, {
  timeout: Math.max(300_000, cases * 300),
}, async () => {
  const names = ['broken.yaml', 'broken.sops.yaml'];
  const seed = process.env.GRANARY_CONFIG_SEED;
  await fc.assert(
    fc.asyncProperty(brokenFile(originals()), fc.constantFrom(...names), async (content, file) => {
      // What takes all memory is found in the folder of a run that was killed by it.
      for (const name of names) rmSync(folder.join('config', name), { force: true });
      writeFileSync(folder.join('config', file), content);
      const first = await loadTimed(folder.join('config'));
      const { diagnostics } = first;
      // A slow one is tried again: what is slow by itself is slow each time.
      const again = first.ms > slowMs ? [await loadTimed(folder.join('config'))] : [];
      const ms = Math.min(first.ms, ...again.map((one) => one.ms));
      if (ms > slowest.ms) slowest = { ms, content };
      if (ms > slowMs) slow += 1;
      if (diagnostics.some(({ severity }) => severity === 'error')) rejected += 1;
      const faults = diagnostics.flatMap((one) => {
        const fault = faultOf(one, file, content);
        return fault === null ? [] : [`${one.code} "${one.message}": ${fault}`];
      });
      expect(faults).toEqual([]);
    }),
    { numRuns: cases, endOnFailure: false, ...(seed !== undefined && { seed: Number(seed) }) },
  );
  console.log(
    `${cases} broken files: ${rejected} rejected, the slowest took ${Math.round(slowest.ms)} ms of the processor (${slowest.content.length} bytes), ${slow} more than ${slowMs} ms`,
  );
  // Mutations that mostly leave a file valid would try out nothing.
  expect(rejected).toBeGreaterThan(cases / 2);
});
