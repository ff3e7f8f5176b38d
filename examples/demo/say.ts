/** How the demo tells its story: a heading a step, the command as one would type it, its own output below. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const bold = (text: string) =>
  process.stdout.isTTY && !process.env.NO_COLOR ? `\u001b[1m${text}\u001b[0m` : text;

let steps = 0;

/** A new step of the story. */
export function step(title: string): void {
  steps += 1;
  console.log(`\n${bold(`${steps}. ${title}`)}`);
}

/** A line of explanation. */
export function tell(text: string): void {
  console.log(`   ${text}`);
}

/** Shows a command that somebody could type. */
export function showCommand(...words: string[]): void {
  console.log(`   ${bold(`$ ${words.join(' ')}`)}`);
}

export interface Run {
  readonly code: number;
  readonly stdout: string;
}

/** Runs `granary` as a user would, shows command and output, and gives both back. A failure ends the demo. */
export async function granary(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Run> {
  showCommand('granary', ...args);
  const child = spawn(process.execPath, [main, ...args], { env: { ...process.env, ...env }, stdio: 'pipe' });
  let stdout = '';
  const show = (chunk: Buffer) => {
    for (const line of chunk.toString().trimEnd().split('\n')) console.log(`     ${line}`);
  };
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    show(chunk);
  });
  child.stderr.on('data', show);
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve(status ?? 1));
  });
  if (code !== 0) throw new Error(`granary ${args[0]} ended with ${code}`);
  return { code, stdout };
}

/** The path of the entry, for a shell alias at the end. */
export const entry = main;
