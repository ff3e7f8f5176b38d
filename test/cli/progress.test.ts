/** What a running backup or restore shows, on a terminal and elsewhere. */
import { describe, expect, test } from 'vitest';
import { tellFailure } from '../../src/cli/failure.ts';
import type { Io } from '../../src/cli/io.ts';
import { progressView } from '../../src/cli/progress.ts';
import { GranaryError } from '../../src/model/errors.ts';
import { formatAge } from '../../src/model/units.ts';

function fakeIo(interactive: boolean): { io: Io; shown: () => string } {
  let text = '';
  const io: Io = {
    out: (line) => {
      text += `${line}\n`;
    },
    outAll: async (lines) => {
      for (const line of lines) text += `${line}\n`;
    },
    err: (line) => {
      text += `${line}\n`;
    },
    warn: (message) => {
      text += `warning: ${message}\n`;
    },
    draw: (piece) => {
      text += piece;
    },
    env: {},
    width: 80,
    color: false,
    interactive,
    signal: new AbortController().signal,
    exitCode: 0,
  };
  return { io, shown: () => text };
}

const half = { type: 'snapshot', bytes: 50 << 20, total: 100 << 20 } as const;
const clearLine = '\r\u001b[2K';

describe('progress', () => {
  test('on a terminal is one moving line, which is gone before an error stands there', () => {
    const { io, shown } = fakeIo(true);
    const failing = () => {
      using view = progressView(io, 'auto');
      view.onProgress(half);
      expect(shown()).toContain('50 MiB of 100 MiB');
      throw new GranaryError('stalled', 'etcd sent nothing for 60 seconds', {
        hint: 'look into that member',
      });
    };
    expect(failing).toThrow('sent nothing');
    tellFailure(io, new GranaryError('stalled', 'etcd sent nothing', { hint: 'look' }), 'text');
    expect(shown().endsWith(`${clearLine}error: etcd sent nothing\nhint: look\n`)).toBe(true);
  });

  test('of several copies that are read says which, each with a bar of its own', () => {
    const { io, shown } = fakeIo(true);
    using view = progressView(io, 'auto');
    view.onProgress({ type: 'read', destination: 'eu-minio', bytes: 50 << 20, total: 100 << 20 });
    expect(shown()).toContain('read       eu-minio  ██████████░░░░░░░░░░  50 MiB of 100 MiB');
  });

  test('on a terminal makes room for lines that stay', () => {
    const { io, shown } = fakeIo(true);
    using view = progressView(io, 'auto');
    view.onProgress(half);
    view.onProgress({ type: 'stored', destination: 'eu-s3', bytes: 1 << 20 });
    expect(shown().endsWith(`${clearLine}stored     eu-s3 1.0 MiB\n`)).toBe(true);
  });

  test('elsewhere moves nothing, and with `none` tells warnings only', () => {
    for (const how of ['auto', 'plain', 'none'] as const) {
      const { io, shown } = fakeIo(false);
      using view = progressView(io, how);
      view.onProgress(half);
      view.onProgress({ type: 'published', destination: 'eu-s3' });
      view.onProgress({ type: 'warning', message: 'slow' });
      expect(shown()).toBe(how === 'none' ? 'warning: slow\n' : 'published  eu-s3\nwarning: slow\n');
    }
  });
});

test.each([
  [-5_000, 'just now'],
  [999, 'just now'],
  [1_000, '1 second ago'],
  [8_040, '8 seconds ago'],
  [59_999, '59 seconds ago'],
  [18 * 60_000, '18 minutes ago'],
  [3 * 86_400_000, '3 days ago'],
])('%d ms of age are said as %s', (milliseconds, words) => {
  expect(formatAge(milliseconds)).toBe(words);
});
