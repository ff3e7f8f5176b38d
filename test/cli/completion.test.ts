/** Completion: what is offered, and that a real bash, zsh and fish offer it. */
import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeWith } from '../servers/describe.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { requireTool } from '../servers/tools.ts';
import { entry } from './entry.ts';
import { granary } from './granary.ts';

let folder: TempFolder;
beforeAll(async () => {
  folder = tempFolder('completion');
  expect((await granary(['init', folder.join('fleet')])).code).toBe(0);
});
afterAll(() => folder.remove());

async function offered(...words: readonly string[]): Promise<{ values: string[]; also: string }> {
  const ran = await granary(['completion', 'bash', '--', ...words], { cwd: folder.join('fleet') });
  expect(ran, ran.stderr).toMatchObject({ code: 0, stderr: '' });
  const lines = ran.stdout.trimEnd().split('\n');
  return { values: lines.slice(0, -1).map((line) => line.split('\t')[0] ?? ''), also: lines.at(-1) ?? '' };
}

test.each([
  [['pl'], ['plan'], ':nothing'],
  [['secrets', 'r'], ['recipients', 'rotate'], ':nothing'],
  [['plan', '--se'], ['--seed'], ':nothing'],
  [['plan', '--seed', ''], ['example'], ':nothing'],
  [['plan', '--seed=e'], ['--seed=example'], ':nothing'],
  [['plan', '-o', ''], ['text', 'json', 'markdown', 'github'], ':nothing'],
  [['backup', ''], ['example/etcd'], ':nothing'],
  [['check', '-o', 'json', ''], ['local', 'example/etcd'], ':nothing'],
  [['simulate', '--policy', 'h'], ['hourly'], ':nothing'],
  [['get', 'c'], ['clusters', 'credentials'], ':nothing'],
  [['inspect', ''], ['example/etcd'], ':files'],
  [['plan', '--path', ''], [], ':folders'],
  [['verify', '--age-key-file', ''], [], ':files'],
  [['completion', ''], ['bash', 'zsh', 'fish'], ':nothing'],
  [['plan', '--repo', 'x', '--seed', ''], [], ':nothing'],
  [['plan', '--path', '/nowhere', '--seed', ''], [], ':nothing'],
])('%j', async (words, values, also) => {
  expect(await offered(...words)).toEqual({ values, also });
});

/** Runs a shell where `granary` is on the PATH, in a folder with a configuration. */
function inShell(file: string, args: readonly string[]): string {
  const bin = folder.join('granary');
  writeFileSync(bin, `#!/bin/bash\nexec '${process.execPath}' '${entry}' "$@"\n`);
  chmodSync(bin, 0o755);
  const env = { PATH: `${folder.path}:${process.env.PATH}`, HOME: folder.path, TERM: 'xterm' };
  return execFileSync(file, args, { cwd: folder.join('fleet'), env, encoding: 'utf8' });
}

describe('bash', () => {
  /** What a tab at the end of `line` puts into COMPREPLY. */
  function tab(line: string): string[] {
    const program = `set -eu; eval "$(granary completion bash)"; compopt() { :; }
      COMP_LINE=$1 COMP_POINT=\${#1}; set +e; _granary; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const out = inShell('bash', ['-c', program, 'bash', line]);
    return out.split('\n').filter((one) => one !== '');
  }

  test('offers commands, names, and files', () => {
    expect(tab('granary und')).toEqual(['undelete']);
    expect(tab('granary plan --seed ')).toEqual(['example']);
    // Only what stands behind `=` is put in.
    expect(tab('granary plan --seed=ex')).toEqual(['example']);
    expect(tab('granary verify --age-key-file ag')).toEqual(['age.key']);
    expect(tab('granary plan --path se')).toEqual(['seeds']);
  });
});

describeWith(['zsh'], 'zsh', () => {
  /** The line after a tab at its end, in a zsh that believes itself at a terminal. */
  function tab(line: string): string {
    const script = `zmodload zsh/zpty
      zpty -b z ${requireTool('zsh')} -f -i
      wait_for() { local out more; repeat 600; do zpty -r -t z more && out+=$more; [[ $out == *$1* ]] && break; sleep 0.1; done; print -r -- $out }
      zpty -w z 'PS1=; stty -echo; autoload -Uz compinit; compinit -u -D; eval "$(granary completion zsh)"
        report() { print -r -- "[[$BUFFER]]"; BUFFER=; zle accept-line }
        zle -N report; bindkey "^X" report; echo is"" ready'
      wait_for 'is ready' > /dev/null
      zpty -n -w z "$1"$'\t'$'\x18'
      wait_for ']]'
      zpty -d z`;
    const out = inShell(requireTool('zsh'), ['-f', '-c', script, 'zsh', line]);
    return /\[\[(granary.*?)\]\]/.exec(out)?.[1] ?? out;
  }

  test('puts in commands, names, and files', () => {
    expect(tab('granary und')).toBe('granary undelete ');
    expect(tab('granary plan --seed ')).toBe('granary plan --seed example ');
    expect(tab('granary plan --seed=ex')).toBe('granary plan --seed=example ');
    expect(tab('granary verify --age-key-file ag')).toBe('granary verify --age-key-file age.key ');
    expect(tab('granary plan --path se')).toBe('granary plan --path seeds/');
  });
});

describeWith(['fish'], 'fish', () => {
  /** What it lists at the end of `line`, without what each is. */
  function tab(line: string): string[] {
    const program = 'granary completion fish | source; complete -C $argv[1]';
    const out = inShell(requireTool('fish'), ['--no-config', '-c', program, '--', line]);
    return out.split('\n').flatMap((one) => (one === '' ? [] : [one.split('\t')[0] ?? '']));
  }

  test('offers commands, names, and files', () => {
    expect(tab('granary und')).toEqual(['undelete']);
    expect(tab('granary plan --seed ')).toEqual(['example']);
    expect(tab('granary plan --seed=ex')).toEqual(['--seed=example']);
    expect(tab('granary verify --age-key-file ag')).toEqual(['age.key']);
    expect(tab('granary plan --path se')).toEqual(['seeds/']);
  });
});

test('another shell is refused', async () => {
  const ran = await granary(['completion', 'csh']);
  expect(ran).toMatchObject({ code: 1, stdout: '' });
  expect(ran.stderr).toContain('allowed choices are bash, zsh, fish');
});
