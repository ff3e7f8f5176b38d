/** The agent as its users run it: a process of its own, told by its log, its exit code and what it answers. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { entry } from '../cli/entry.ts';
import { atExit } from '../servers/at-exit.ts';
import { tempFolder } from '../servers/temp.ts';

export type Line = Readonly<Record<string, unknown>> & { readonly msg: string };

const running = new Set<ChildProcess>();
let guarded = false;

/** An agent must not outlive the test process, however that ends. */
function guard(child: ChildProcess): void {
  running.add(child);
  child.once('close', () => running.delete(child));
  if (guarded) return;
  guarded = true;
  atExit(() => {
    for (const one of running) one.kill('SIGKILL');
  });
}

export class RunningAgent implements AsyncDisposable {
  readonly lines: Line[] = [];
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  stderr = '';
  /** Where it puts what is temporary: an agent that is killed leaves its clone. */
  readonly #temp = tempFolder('agent-temp');
  readonly #child: ChildProcess;
  readonly #looks = new Set<() => void>();

  /** @param args of `granary agent`; it listens on any free port */
  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const all = [entry, 'agent', '--listen', '127.0.0.1:0', '--interval', '1s', ...args];
    this.#child = spawn(process.execPath, all, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, HOME: process.env.HOME, TMPDIR: this.#temp.path, ...env },
    });
    guard(this.#child);
    this.exited = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => {
        resolve({ code, signal });
        for (const look of this.#looks) look();
      });
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    if (this.#child.stdout === null) throw new Error('no stdout');
    createInterface({ input: this.#child.stdout }).on('line', (text) => {
      this.lines.push(JSON.parse(text) as Line);
      for (const look of this.#looks) look();
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The first line with this message and these fields, as soon as it is there. */
  async logged(msg: string, fields: Readonly<Record<string, unknown>> = {}): Promise<Line> {
    const find = () =>
      this.lines.find(
        (line) => line.msg === msg && Object.entries(fields).every(([name, value]) => line[name] === value),
      );
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = find();
        if (found === undefined && this.#child.exitCode === null && this.#child.signalCode === null) return;
        this.#looks.delete(look);
        if (found !== undefined) resolve(found);
        else reject(new Error(`the agent ended without \`${msg}\`:\n${this.stderr}\n${this.#log()}`));
      };
      this.#looks.add(look);
      look();
    });
  }

  async get(path: string): Promise<{ status: number; text: string }> {
    const { listen } = await this.logged('agent started');
    const response = await fetch(`${listen}${path}`);
    return { status: response.status, text: await response.text() };
  }

  /** The value of a sample, written as Prometheus does: `granary_late{seed="eu"}`; undefined where there is none. */
  async metric(sample: string): Promise<number | undefined> {
    const { text } = await this.get('/metrics');
    const line = text.split('\n').find((one) => one.startsWith(`${sample} `));
    return line === undefined ? undefined : Number(line.slice(sample.length));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill('SIGKILL');
    await this.exited;
    this.#temp.remove();
  }

  #log(): string {
    return this.lines.map((line) => JSON.stringify(line)).join('\n');
  }
}
