/** Tells that something below a folder was changed, when it has been quiet again for a moment. */
import { type FSWatcher, watch } from 'node:fs';

/** An editor or a checkout writes several files, and each of them in pieces. */
const quietMs = 500;
/** Somebody who never stops writing is heard all the same. */
const longestMs = 5_000;

/**
 * Git's own folder is left out: asking Git for its commit may write there. What a system cannot watch (no more watches, a
 * network's file system) is not told, so whoever must not miss anything looks now and then as well.
 * @param onChange not called any more once it is disposed of
 */
export function watchFolder(root: string, onChange: () => void): Disposable {
  let since: number | null = null;
  let timer: NodeJS.Timeout | null = null;
  const tell = () => {
    since = null;
    timer = null;
    onChange();
  };
  const hear = (_: string, name: string | null) => {
    if (name === '.git' || name?.startsWith('.git/')) return;
    since ??= performance.now();
    clearTimeout(timer ?? undefined);
    const left = longestMs - (performance.now() - since);
    timer = setTimeout(tell, Math.max(0, Math.min(quietMs, left))).unref();
  };
  const watcher = open(root, hear);
  return {
    [Symbol.dispose]: () => {
      clearTimeout(timer ?? undefined);
      watcher?.close();
    },
  };
}

function open(root: string, hear: (event: string, name: string | null) => void): FSWatcher | null {
  try {
    const watcher = watch(root, { recursive: true, persistent: false }, hear);
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return null;
  }
}
