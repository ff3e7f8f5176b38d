/** The help of every command: complete, with examples that can be typed, and there at once. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { allCommands, silentIo } from '../../build/program.ts';
import { examplesOf, foldedLine } from '../../src/cli/help.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { textWidth } from '../../src/report/text.ts';
import { granary } from './granary.ts';
import { granaryWords, parseFault } from './program.ts';

const program = buildProgram(silentIo());
const commands = allCommands(program);

describe('every command', () => {
  test.each(commands)('$name says what it is for, with examples', ({ name, command }) => {
    expect(command.description(), name).not.toBe('');
    expect(examplesOf(command).length, name).toBeGreaterThan(0);
    for (const example of examplesOf(command)) expect(example).toMatch(/(^|\| |sudo |<\()granary /);
    for (const argument of command.registeredArguments) expect(argument.description).not.toBe('');
    for (const option of command.options) expect(option.description, option.flags).not.toBe('');
  });

  const examples = commands.flatMap(({ command }) => [...examplesOf(command)]);
  test.each(examples)('%s can be typed', async (example) => {
    const lines = granaryWords(example);
    expect(lines).toHaveLength(1);
    for (const words of lines) expect(await parseFault(words)).toBeNull();
  });

  test('an example that is wrong would be found', async () => {
    expect(await parseFault(['plan', '--sed', 'eu'])).toContain("unknown option '--sed'");
    expect(await parseFault(['plam'])).toContain("unknown command 'plam'");
    expect(await parseFault(['backup'])).toContain("missing required argument 'seed/cluster'");
    expect(granaryWords('vault get | granary secrets rotate key --data-file - "a b" > out')).toEqual([
      ['secrets', 'rotate', 'key', '--data-file', '-', 'a b'],
    ]);
  });
});

describe('the width', () => {
  test.each([40, 80, 120])('of %i columns is kept', (width) => {
    for (const { name, command } of allCommands(buildProgram(silentIo(width)))) {
      const [told = ''] = helpOf(command).split(/^Examples?:$/m);
      const tooLong = told
        .split('\n')
        .filter((line) => textWidth(line) > width)
        // One word, or the names of an option, or a command with its arguments: nothing to break.
        .filter((line) => !/^ *\S+$|^ {2}-[^ ]+( --\S+)? <\S+>$|^Usage: |^ {2}[a-z]+( [[<]\S+)+$/.test(line));
      expect(tooLong, name).toEqual([]);
    }
  });

  test('an example is broken where a shell goes on reading', () => {
    const line = 'granary restore eu-west/prod-a --to prod-a.db --age-key-file age.key | cat';
    const folded = foldedLine(line, 40);
    expect(folded).toEqual([
      'granary restore eu-west/prod-a \\',
      '      --to prod-a.db \\',
      '      --age-key-file age.key | cat',
    ]);
    const words = execFileSync('bash', ['-c', `granary() { printf '%s\\n' "$@"; }\n${folded.join('\n')}`]);
    expect(words.toString().trim().split('\n')).toEqual(
      'restore eu-west/prod-a --to prod-a.db --age-key-file age.key'.split(' '),
    );
  });
});

describe('asked for in each way', () => {
  test.each([
    [[], 'Usage: granary COMMAND [options]'],
    [['--help'], 'Usage: granary COMMAND [options]'],
    [['help'], 'Usage: granary COMMAND [options]'],
    [['help', 'plan'], 'Usage: granary plan [options]'],
    [['plan', '-h'], 'Usage: granary plan [options]'],
    [['help', 'secrets', 'lint'], 'Usage: granary secrets lint [options] <file...>'],
  ])('%j', async (args, first) => {
    const ran = await granary(args);
    expect(ran.stdout.split('\n')[0]).toBe(first);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
  });

  test('of a command that there is not', async () => {
    const ran = await granary(['help', 'plann']);
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toContain('did you mean `plan`?');
  });
});

test('the version names the commit and Node', async () => {
  const { stdout } = await granary(['--version']);
  expect(stdout).toMatch(/^granary \d+\.\d+\.\d+, (commit [0-9a-f]{12}(-dirty)?, )?Node v\d+\.\d+\.\d+\n$/);
});

/** Loading is what a start takes: what is loaded can be said exactly, how long it takes cannot. */
describe('nothing heavy is loaded', () => {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  const hook = `import { registerHooks } from 'node:module';
    import { writeSync } from 'node:fs';
    registerHooks({ load: (url, context, next) => { writeSync(3, url + '\\n'); return next(url, context); } });`;

  function loadedBy(...args: string[]): string[] {
    const out = execFileSync(
      'bash',
      [
        '-c',
        '"$@" 3>&1 >/dev/null',
        'bash',
        process.execPath,
        '--import',
        `data:text/javascript,${encodeURIComponent(hook)}`,
        'src/cli/main.ts',
        ...args,
      ],
      { cwd: root, env: { PATH: process.env.PATH, HOME: '/nonexistent' }, encoding: 'utf8' },
    );
    return out
      .trim()
      .split('\n')
      .map((url) => url.replace(`file://${root}`, ''));
  }
  const packages = (loaded: readonly string[]) => [
    ...new Set(loaded.flatMap((url) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? [])),
  ];
  const layers = (loaded: readonly string[]) => [
    ...new Set(loaded.flatMap((url) => /^src\/(\w+)\//.exec(url)?.[1] ?? [])),
  ];

  test.each([[['--help']], [['--version']], [['restore', '--help']], [['secrets', 'lint', '--help']]])(
    'for %j',
    (args) => {
      const loaded = loadedBy(...args);
      expect(packages(loaded)).toEqual(['commander']);
      expect(layers(loaded).sort()).toEqual(['cli', 'config', 'git', 'model']);
      const builtin = loaded.filter((url) => url.startsWith('node:'));
      for (const heavy of ['node:crypto', 'node:http', 'node:tls', 'node:worker_threads', 'node:zlib'])
        expect(builtin).not.toContain(heavy);
    },
  );

  test('what a command needs is loaded when it runs', () => {
    expect(packages(loadedBy('explain', 'seed')).length).toBeGreaterThan(1);
  });
});

function helpOf(command: (typeof commands)[number]['command']): string {
  let text = '';
  command.configureOutput({ writeOut: (more) => (text += more) });
  command.outputHelp();
  return text;
}
