/**
 * What it takes to validate a large repository, beside the least that it could: `npm run bench:validate`.
 *
 * A repository of 2,000 files is written into a temporary folder. Each row is a fresh process; all are measured in
 * turn, round after round, so that what else the machine does hits them alike. Target: 2,000 files in at most 3 s.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { tempFolder } from '../test/servers/temp.ts';
import { type Command, hasGnuTime, type Measured, measure } from './backup/measure.ts';
import { ratio, spread } from './backup/report.ts';
import { ratios, type Spread } from './backup/statistics.ts';
import { buildProgram, buildScript, type Machine, machine, root, wholeNumber } from './surroundings.ts';
import { type Written, writeRepository } from './validate/repository.ts';

interface Row {
  readonly title: string;
  readonly command: Command;
  /** What a run that checked every file and found nothing prints. */
  readonly prints: string;
}

interface RowResult {
  readonly title: string;
  readonly seconds: readonly number[];
  readonly cpuSeconds: readonly number[];
  readonly peakBytes: readonly number[];
  /** To the floor, round by round; null for the floor. */
  readonly toFloor: Spread | null;
}

interface ValidateResult {
  readonly date: string;
  readonly command: string;
  readonly machine: Machine;
  readonly node: string;
  readonly repository: Written;
  readonly rounds: number;
  readonly rows: readonly RowResult[];
}

interface Built {
  readonly program: string;
  /** `load.ts`. */
  readonly load: string;
}

/** The floor is the last one. */
function rowsOf(folder: string, { program, load }: Built, { files }: Written): Row[] {
  const { PATH, HOME, TMPDIR } = process.env;
  const node = (...args: string[]): Command => ({
    file: process.execPath,
    args,
    env: { PATH, HOME, TMPDIR },
  });
  return [
    {
      title: '`granary validate`',
      command: node(program, 'validate', '--path', folder),
      prints: `No errors, no warnings in ${files} files. Nothing was contacted.\n`,
    },
    {
      title: '`loadConfiguration` alone',
      command: node(load, folder),
      prints: `${files} 0\n`,
    },
    {
      title: 'floor: plain `yaml` and ajv, the same schemas',
      command: node(join(root, 'bench', 'validate', 'floor.ts'), folder),
      prints: `${files}\n`,
    },
  ];
}

/** One warm-up, then round after round. */
async function measureRows(rows: readonly Row[], rounds: number): Promise<Map<Row, Measured[]>> {
  using folder = tempFolder('bench-time');
  const measured = new Map<Row, Measured[]>(rows.map((row) => [row, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const row of rows) {
      const taken = await measure(row.command, folder);
      if (taken.stdout !== row.prints) throw new Error(`${row.title} printed ${taken.stdout}`);
      console.error(
        `${round === 0 ? 'warm-up' : `round ${round}`} ${taken.seconds.toFixed(2)} s ${row.title}`,
      );
      if (round > 0) measured.get(row)?.push(taken);
    }
  }
  return measured;
}

function resultsOf(measured: ReadonlyMap<Row, readonly Measured[]>): RowResult[] {
  const all = [...measured];
  const secondsOf = (runs: readonly Measured[]) => runs.map(({ seconds }) => seconds);
  const floor = secondsOf(all.at(-1)?.[1] ?? []);
  return all.map(([{ title }, runs], index) => ({
    title,
    seconds: secondsOf(runs),
    cpuSeconds: runs.flatMap(({ cpuSeconds }) => cpuSeconds ?? []),
    peakBytes: runs.flatMap(({ peakBytes }) => peakBytes ?? []),
    toFloor: index === all.length - 1 ? null : ratios(secondsOf(runs), floor),
  }));
}

function tableOf(rows: readonly RowResult[]): string {
  const lines = rows.map(({ title, seconds, cpuSeconds, peakBytes, toFloor }) => {
    const cpu = cpuSeconds.length === 0 ? '–' : spread(cpuSeconds, (value) => value.toFixed(2));
    const peak = peakBytes.length === 0 ? '–' : `${Math.ceil(Math.max(...peakBytes) / 2 ** 20)}`;
    return `| ${[title, spread(seconds, (value) => value.toFixed(2)), ratio(toFloor), cpu, peak].join(' | ')} |`;
  });
  return ['| | seconds | x floor | CPU s | peak MiB |', '|---|---|---|---|---|', ...lines].join('\n');
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      files: { type: 'string', default: '2000' },
      runs: { type: 'string', default: '7' },
      out: { type: 'string', default: join(root, 'bench', 'results', 'validate.json') },
    },
  });
  const files = wholeNumber('--files', values.files);
  const rounds = wholeNumber('--runs', values.runs);
  const built = { program: await buildProgram(), load: await buildScript('validate/load.ts') };
  using folder = tempFolder('bench-validate');
  const repository = writeRepository(folder.path, files);
  const before = machine();
  const rows = resultsOf(await measureRows(rowsOf(folder.path, built, repository), rounds));
  const result: ValidateResult = {
    date: new Date().toISOString(),
    command: `npm run bench:validate -- --files ${files} --runs ${rounds}`,
    machine: before,
    node: process.version,
    repository,
    rounds,
    rows,
  };
  mkdirSync(dirname(values.out), { recursive: true });
  writeFileSync(values.out, `${JSON.stringify(result, null, 2)}\n`);
  console.log(tableOf(rows));
  if (!hasGnuTime()) console.log('Not measured: CPU time and memory, because GNU time is not installed.');
  console.error(`written to ${values.out}`);
}

await main();
