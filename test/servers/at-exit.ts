const signals = [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const;
const last: (() => void)[] = [];

/**
 * Runs `action`, which must be synchronous, when this process ends: by itself, by `process.exit`, or by a signal that
 * can be caught. Vitest ends its workers with SIGTERM, and Node runs no exit handlers for that by itself.
 */
export function atExit(action: () => void): void {
  if (last.push(action) > 1) return;
  process.on('exit', () => {
    // The newest first: servers end before the folders that they write to are removed.
    for (const run of last.toReversed()) run();
  });
  for (const [signal, code] of signals) {
    process.on(signal, () => {
      // Whoever else listens wants to end in order, and ends the process itself.
      if (process.listenerCount(signal) === 1) process.exit(code);
    });
  }
}
