import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { entry } from './entry.ts';

test.each([['explain', 'policy'], ['agent', '--help'], ['simulate', '--keep', 'daily=7'], ['nonsense']])(
  'what nobody reads to its end is no failure: %s',
  async (...args) => {
    const child = spawn(process.execPath, [entry, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const [code] = await once(child, 'close');
    expect(stderr).not.toMatch(/EPIPE|node:/);
    expect(code).toBe(args[0] === 'nonsense' ? 1 : 0);
  },
);
