/** What people see at a terminal, and who wants no colour. */
import { execFileSync } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { entry } from './entry.ts';
import { granary } from './granary.ts';

let folder: TempFolder;
beforeAll(async () => {
  folder = tempFolder('color');
  expect((await granary(['init', folder.join('fleet')])).code).toBe(0);
});
afterAll(() => folder.remove());

/** What `granary validate` writes to a terminal of so many columns. */
function seen(env: Readonly<Record<string, string>>, columns = 100): string {
  const line = `stty cols ${columns}; '${process.execPath}' '${entry}' validate --path fleet`;
  return execFileSync('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
    cwd: folder.path,
    env: { PATH: process.env.PATH, HOME: '/nonexistent', TERM: 'xterm', ...env },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).replaceAll('\r', '');
}

test('a terminal gets colour, unless NO_COLOR or a dumb terminal says otherwise', () => {
  const colored = seen({});
  expect(colored).toContain('\x1b[');
  const plain = stripVTControlCharacters(colored);
  for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) expect(seen(env)).toBe(plain);
  // https://no-color.org: an empty one says nothing.
  expect(seen({ NO_COLOR: '' })).toBe(colored);
});

test('lines are as wide as the terminal at most', () => {
  const widths = [60, 100].map((columns) => {
    const lengths = seen({ NO_COLOR: '1' }, columns)
      .split('\n')
      .map((line) => line.length);
    const widest = Math.max(...lengths);
    expect(widest).toBeLessThanOrEqual(columns);
    return widest;
  });
  expect(widths[1]).toBeGreaterThan(widths[0] ?? 0);
});

test('a pipe gets none', async () => {
  const { stdout, stderr } = await granary(['validate', '--path', 'fleet'], { cwd: folder.path });
  expect(stdout).toContain('lone-recipient');
  expect(stdout + stderr).not.toContain('\x1b');
});
