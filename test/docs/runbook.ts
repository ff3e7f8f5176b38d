/** Runs the commands of a runbook: its `sh` blocks, one after another, with values of the test in place of the examples. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../house/repository.ts';

export type Values = Readonly<Record<string, string>>;

export interface Runbook {
  /** Names of all variables that the page sets. */
  readonly variables: readonly string[];
  /** The whole page as one program for bash. */
  script(values: Values, members?: readonly Values[]): string;
}

interface Block {
  readonly eachMember: boolean;
  readonly lines: readonly string[];
}

/** Reads a page of `docs/restore/`. */
export function readRunbook(name: string): Runbook {
  const page = readFileSync(join(root, 'docs/restore', name), 'utf8');
  const blocks = [...page.matchAll(/^```sh( each-member)?\n([\s\S]*?)^```$/gm)].map(
    ([, each, text = '']): Block => ({ eachMember: each !== undefined, lines: text.trimEnd().split('\n') }),
  );
  return {
    variables: [...new Set(blocks.flatMap(({ lines }) => lines.flatMap((line) => variableOf(line) ?? [])))],
    script: (values, members = []) => {
      const known: string[] = [];
      const parts = blocks.map(({ eachMember, lines }) => {
        if (!eachMember) return lines.map((line) => withValue(line, values)).join('\n');
        known.push(...lines.filter((line) => variableOf(line) !== undefined));
        // On a machine of its own, what was set in an earlier block is set anew.
        const rest = lines.filter((line) => variableOf(line) === undefined);
        return members
          .map((own) => [...known, ...rest].map((line) => withValue(line, { ...values, ...own })).join('\n'))
          .map((text) => `(\n${text}\n)`)
          .join('\n');
      });
      return `set -euo pipefail\n${parts.join('\n')}\n`;
    },
  };
}

function variableOf(line: string): string | undefined {
  return /^export ([A-Z_]+)=/.exec(line)?.[1];
}

function withValue(line: string, values: Values): string {
  const name = variableOf(line);
  if (name === undefined) return line;
  const value = values[name];
  if (value === undefined) throw new Error(`the test has no value for ${name}`);
  return `export ${name}='${value}'`;
}

export interface ScriptRan {
  readonly code: number | null;
  /** Both outputs, with each command before what it printed. */
  readonly output: string;
}

/** Runs a program in bash, which says each command before it runs it. */
export function runScript(script: string, options: { cwd: string; env: Values }): Promise<ScriptRan> {
  const child = spawn('bash', ['-x', '-c', script], { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    // Not `close`: an etcd that goes on in the background holds the pipes.
    child.once('exit', (code) => setTimeout(() => resolve({ code, output }), 200));
  });
}
