/** The difference that is shown is one that `git apply` takes. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { unifiedDiff } from '../../src/report/unified-diff.ts';
import { tempFolder } from '../servers/temp.ts';

test('a change with what stands around it', () => {
  const before = ['a', 'b', 'c', 'd', 'e', 'f', 'g', ''].join('\n');
  expect(unifiedDiff({ path: 'x.yaml', before, after: before.replace('e\n', 'E\nF\n') })).toBe(
    '--- a/x.yaml\n+++ b/x.yaml\n@@ -2,6 +2,7 @@\n b\n c\n d\n-e\n+E\n+F\n f\n g\n',
  );
});

test('a new file, and one without a line end', () => {
  expect(unifiedDiff({ path: 'x', before: null, after: 'a\nb' })).toBe(
    '--- /dev/null\n+++ b/x\n@@ -0,0 +1,2 @@\n+a\n+b\n\\ No newline at end of file\n',
  );
});

test('`git apply` makes of the first text the second one', () => {
  using folder = tempFolder('diff');
  const path = folder.join('x.yaml');
  const line = fc.constantFrom('', 'a', 'b', ' c', '# d', 'e\r', '-', '+++');
  const text = fc
    .tuple(fc.array(line, { maxLength: 25 }), fc.boolean())
    .map(([lines, ended]) => lines.join('\n') + (ended && lines.length > 0 ? '\n' : ''));
  fc.assert(
    fc.property(fc.option(text), text, (before, after) => {
      fc.pre(before !== after && before !== '' && after !== '');
      if (before === null) rmSync(path, { force: true });
      else writeFileSync(path, before);
      const args = ['apply', '--whitespace=nowarn', '-'];
      execFileSync('git', args, { cwd: folder.path, input: unifiedDiff({ path: 'x.yaml', before, after }) });
      expect(existsSync(path) ? readFileSync(path, 'utf8') : null).toBe(after);
    }),
    { numRuns: 100 },
  );
});
