/** The README's first command, as it stands there: the demo ends well, and its story is whole. */
import { spawn } from 'node:child_process';
import { expect, test } from 'vitest';
import { describeWith } from '../servers/describe.ts';
import { tempFolder } from '../servers/temp.ts';

const main = new URL('../../examples/demo/main.ts', import.meta.url).pathname;

describeWith(['etcd-3.6', 'sops'], 'the demo', () => {
  test('backs up two slots, destroys etcd, restores it, and finds every key', {
    timeout: 300_000,
  }, async () => {
    using folder = tempFolder('demo');
    const child = spawn(process.execPath, [main], {
      env: { ...process.env, GRANARY_DEMO_DIR: folder.join('demo') },
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk));
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    expect(output).toMatch(/all 3500 keys are there, each with its value and its revision/);
    expect(output.match(/published/g)?.length).toBeGreaterThanOrEqual(2);
    expect(output).not.toMatch(/AGE-SECRET-KEY/);
    expect(code).toBe(0);
  });
});
