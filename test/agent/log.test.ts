import { expect, test } from 'vitest';
import { createLog, formatLine } from '../../src/agent/log.ts';
import { Secret } from '../../src/secrets/secret.ts';

function linesOf(terminal: boolean, write: (log: ReturnType<typeof createLog>) => void): string[] {
  const lines: string[] = [];
  write(createLog({ write: (line) => lines.push(line), terminal, color: false }));
  return lines;
}

test('for machines: one JSON object a line, with level and time in words', () => {
  const [line = ''] = linesOf(false, (log) => log.warn({ seed: 'eu', copies: [1] }, 'backup incomplete'));
  expect(line.endsWith('\n')).toBe(true);
  expect(JSON.parse(line)).toEqual({
    level: 'warn',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    seed: 'eu',
    copies: [1],
    msg: 'backup incomplete',
  });
});

test('for people: short, and nothing in it can steer the terminal', () => {
  const [line = ''] = linesOf(true, (log) =>
    log.error(
      { seed: 'eu', error: { code: 'etcd-auth', message: 'red \u001b[31m', hint: null }, why: 'two words' },
      'backup failed',
    ),
  );
  expect(line).toMatch(/^\d\d:\d\d:\d\d error backup failed {2}seed=eu/);
  expect(line).toContain('error="red \\u001b[31m"  code=etcd-auth  why="two words"');
  expect(line).not.toContain('\u001b');
});

test('what steers a terminal from above ASCII does not either, also in JSON, which means the same', () => {
  const why = '\u009b31m\u007f';
  const write = (log: ReturnType<typeof createLog>) => log.warn({ why }, 'told');
  const [forPeople = ''] = linesOf(true, write);
  expect(forPeople).toContain('why="\\x9b31m\\x7f"');
  const [forMachines = ''] = linesOf(false, write);
  expect(forMachines).not.toMatch(/[\u007f-\u009f]/);
  expect(JSON.parse(forMachines)).toMatchObject({ why });
});

test('colour marks what is bad only', () => {
  const line = (level: string) => JSON.stringify({ level, time: '2026-11-21T14:00:00.000Z', msg: 'm' });
  expect(formatLine(line('info'), true)).toBe('14:00:00 info  m');
  expect(formatLine(line('error'), true)).toBe('14:00:00 \u001b[31merror\u001b[0m m');
});

test('a secret that strays into a field stays one', () => {
  const secret = new Secret('hunter2');
  for (const terminal of [true, false]) {
    const lines = linesOf(terminal, (log) => log.info({ secret, nested: { secret } }, 'message'));
    expect(lines.join('')).not.toContain('hunter2');
  }
});
