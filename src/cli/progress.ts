/** Shows a running backup, verification or restore: one moving line on a terminal, plain lines elsewhere. */
import type { OnProgress, ProgressEvent } from '../backup/events.ts';
import { formatBytes, formatCount } from '../model/units.ts';
import type { Io } from './io.ts';
import type { ProgressOptions } from './options.ts';

/** Disposing of it takes a moving line away, so that an error never stands behind half a bar. */
export interface ProgressView extends Disposable {
  readonly onProgress: OnProgress;
  /** Takes a moving line away, before something else is written. */
  clear(): void;
}

const barWidth = 20;
/** A terminal line is drawn anew at most this often. */
const redrawMs = 100;

/** @param what named in front of lines where several things run at once; null for one alone */
export function progressView(
  io: Io,
  how: ProgressOptions['progress'],
  what: string | null = null,
): ProgressView {
  if (how === 'none') return { onProgress: warningsOnly(io), clear: () => {}, [Symbol.dispose]: () => {} };
  const moving = how === 'auto' && io.interactive && what === null;
  const label = what === null ? '' : `${what}  `;
  let drawn = 0;
  let shown = false;
  const clear = () => {
    if (shown) io.draw('\r\u001b[2K');
    shown = false;
  };
  // Several copies may be read one after the other: each has a pace of its own.
  let moved = { what: '', bytes: 0, began: Date.now() };
  const onProgress: OnProgress = (event) => {
    const line = lineOf(event);
    if (line !== null) {
      clear();
      io.err(label + line);
    } else if (moving && (event.type === 'snapshot' || event.type === 'read')) {
      const name = event.type === 'read' ? `read       ${event.destination} ` : 'snapshot  ';
      const isNew = moved.what !== name || event.bytes < moved.bytes;
      moved = { what: name, bytes: event.bytes, began: isNew ? Date.now() : moved.began };
      if (Date.now() - drawn < redrawMs) return;
      const text = movingLine(name, event, Date.now() - moved.began);
      drawn = Date.now();
      shown = true;
      io.draw(`\r\u001b[2K${text}`);
    }
  };
  return { onProgress, clear, [Symbol.dispose]: clear };
}

function warningsOnly(io: Io): OnProgress {
  return (event) => {
    if (event.type === 'warning') io.warn(event.message);
  };
}

/** Events that are worth a line of their own; null for those that only move a bar. */
function lineOf(event: ProgressEvent): string | null {
  switch (event.type) {
    case 'member':
      return `snapshot   from ${event.endpoint} (${event.why})`;
    case 'proved': {
      const verdict = {
        equal: "HashKV equals the member's",
        unverifiable: 'HashKV could not be compared',
        off: 'HashKV was not compared',
      }[event.verdict];
      return `proof      sound, revision ${formatCount(event.revision)}, ${formatCount(event.keys)} keys, ${verdict}`;
    }
    case 'stored':
      return `stored     ${event.destination} ${formatBytes(event.bytes)}`;
    case 'published':
      return `published  ${event.destination}`;
    case 'resumed':
      return `resumed    ${formatBytes(event.bytes)} that an earlier run had read, the rest from ${event.destination}`;
    case 'warning':
      return `warning: ${event.message}`;
    case 'snapshot':
    case 'uploaded':
    case 'read':
      return null;
  }
}

function movingLine(
  name: string,
  { bytes, total }: { readonly bytes: number; readonly total: number | null },
  elapsedMs: number,
): string {
  const rate = elapsedMs === 0 ? 0 : bytes / (elapsedMs / 1_000);
  if (total === null || total === 0) return `${name} ${formatBytes(bytes)}  ${formatBytes(rate)}/s`;
  const share = Math.min(1, bytes / total);
  const filled = Math.round(share * barWidth);
  const bar = '█'.repeat(filled) + '░'.repeat(barWidth - filled);
  const left = rate === 0 ? '' : `  ${clock((total - bytes) / rate)} left`;
  return `${name} ${bar}  ${formatBytes(bytes)} of ${formatBytes(total)}  ${formatBytes(rate)}/s${left}`;
}

function clock(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  const two = (count: number) => String(count).padStart(2, '0');
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}
