/** Completion: what is offered, and that a real bash offers it. */
import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
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

describe('bash', () => {
  /** What a tab at the end of `line` puts into COMPREPLY. */
  function tab(line: string): string[] {
    const bin = folder.join('granary');
    writeFileSync(bin, `#!/bin/bash\nexec '${process.execPath}' '${entry}' "$@"\n`);
    chmodSync(bin, 0o755);
    const program = `set -eu; eval "$(granary completion bash)"; compopt() { :; }
      COMP_LINE=$1 COMP_POINT=\${#1}; set +e; _granary; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const env = { PATH: `${folder.path}:${process.env.PATH}`, HOME: '/nonexistent' };
    const out = execFileSync('bash', ['-c', program, 'bash', line], {
      cwd: folder.join('fleet'),
      env,
      encoding: 'utf8',
    });
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

test.each(['zsh', 'fish'])('%s gets a program of its own', async (shell) => {
  const { stdout } = await granary(['completion', shell]);
  expect(stdout).toContain(`granary completion ${shell} -- `);
});

test('another shell is refused', async () => {
  const ran = await granary(['completion', 'csh']);
  expect(ran).toMatchObject({ code: 1, stdout: '' });
  expect(ran.stderr).toContain('allowed choices are bash, zsh, fish');
});
