import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bundle, threads, writeChunks } from '../../build/bundle.ts';
import { analyse } from '../../src/bolt/analyse.ts';
import { hasTrailer, verifyTrailer } from '../../src/bolt/trailer.ts';
import { analyseInWorker } from '../../src/bolt/worker-client.ts';
import { GranaryError } from '../../src/model/errors.ts';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { keyRow, writeDatabase } from './bolt-writer.ts';
import { withBytes } from './support.ts';

const repository = resolve(import.meta.dirname, '../..');

function withTrailer(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, createHash('sha256').update(bytes).digest()]);
}

function snapshot(rows: number): Buffer {
  const key = Array.from({ length: rows }, (_, i) => keyRow(i + 2, `key-${i % 97}`, 'v'.repeat(100)));
  return withTrailer(writeDatabase({ buckets: { key, meta: [] } }).bytes);
}

describe('the trailer', () => {
  const bytes = snapshot(20_000);
  const sha256 = (of: Uint8Array) => createHash('sha256').update(of).digest('hex');
  const verify = (of: Uint8Array) => withBytes(of, verifyTrailer);

  test('is the SHA-256 of what comes before it', () => {
    expect(hasTrailer(bytes.length)).toBe(true);
    expect(verify(bytes)).toEqual({ trailer: 'ok', sha256: sha256(bytes) });
  });

  test('is missing', () => {
    const body = bytes.subarray(0, -32);
    expect(verify(body)).toEqual({ trailer: 'missing', sha256: sha256(body) });
    expect(verify(new Uint8Array())).toEqual({ trailer: 'missing', sha256: sha256(new Uint8Array()) });
  });

  test.each([0, 1_500_000, -33, -1])('is bad where byte %i has changed', (at) => {
    const changed = Buffer.from(bytes);
    const index = at < 0 ? changed.length + at : at;
    changed[index] = (changed[index] ?? 0) ^ 1;
    expect(verify(changed)).toEqual({ trailer: 'bad', sha256: sha256(changed) });
    const report = withBytes(changed, (fd, size) => analyse(fd, size, { digest: true }));
    expect(report).toMatchObject({ trailer: 'bad', sha256: sha256(changed) });
    expect(report.problemCount).toBeGreaterThan(0);
  });
});

describe('a worker thread', () => {
  let folder: TempFolder;
  let fd: number;
  let size: number;

  beforeEach(() => {
    folder = tempFolder('bolt');
    writeFileSync(folder.join('snapshot.db'), snapshot(50_000));
    fd = openSync(folder.join('snapshot.db'), 'r');
    size = fstatSync(fd).size;
  });
  afterEach(() => {
    closeSync(fd);
    folder.remove();
  });

  test('gives the same report', async () => {
    const options = { hashAt: { revision: 40_000, compactRevision: 30_000 }, digest: true };
    const report = await analyseInWorker(fd, size, options, { signal: new AbortController().signal });
    expect(report).toEqual(analyse(fd, size, options));
    expect(report.hashKV).toMatchObject({ keys: 97 });
  });

  test('hands errors over by name', async () => {
    const closed = openSync(folder.join('snapshot.db'), 'r');
    closeSync(closed);
    const failure = analyseInWorker(closed, size, {}, { signal: new AbortController().signal });
    await expect(failure).rejects.toBeInstanceOf(GranaryError);
    await expect(failure).rejects.toMatchObject({ code: 'file-unreadable' });
  });

  test('stops on abort, with the reason given', async () => {
    const controller = new AbortController();
    const reason = new GranaryError('interrupted', 'somebody pressed ctrl-c');
    const running = analyseInWorker(fd, size, { digest: true }, { signal: controller.signal });
    setImmediate(() => controller.abort(reason));
    await expect(running).rejects.toBe(reason);
    await expect(analyseInWorker(fd, size, {}, { signal: controller.signal })).rejects.toBe(reason);
    // The descriptor is the caller's, and still good.
    expect(analyse(fd, size).problems).toEqual([]);
  });

  test('does not begin where it was aborted before: a thread that nobody ends would keep the process', async () => {
    const client = resolve(repository, 'src/bolt/worker-client.ts');
    writeFileSync(
      folder.join('main.mjs'),
      `const { AnalysisThread } = await import(${JSON.stringify(pathToFileURL(client))});
       try {
         new AnalysisThread({ signal: AbortSignal.abort(new Error('ctrl-c')) });
       } catch ({ message }) {
         console.log(message);
       }`,
    );
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, [folder.join('main.mjs')], { timeout: 20_000 });
    expect(stdout).toBe('ctrl-c\n');
  });

  test('runs from the built program too', async () => {
    const { chunks } = await bundle({ ...threads, client: 'src/bolt/worker-client.ts' });
    writeChunks(folder.path, chunks);
    writeFileSync(folder.join('package.json'), '{"type": "module"}');
    symlinkSync(resolve(repository, 'node_modules'), folder.join('node_modules'));
    const run = promisify(execFile);
    writeFileSync(
      folder.join('main.js'),
      `import { openSync, fstatSync } from 'node:fs';
       import { analyseInWorker } from './cli/client.js';
       const fd = openSync(process.argv[2], 'r');
       const { signal } = new AbortController();
       console.log(JSON.stringify(await analyseInWorker(fd, fstatSync(fd).size, {}, { signal })));`,
    );
    const { stdout } = await run(process.execPath, [folder.join('main.js'), folder.join('snapshot.db')]);
    expect(JSON.parse(stdout)).toEqual(JSON.parse(JSON.stringify(analyse(fd, size))));
  });
});
