/** Durations and sizes, as the configuration writes them and as people read them. */

const durationUnits = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const sizeUnits = { '': 1, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 } as const;

/** `90s`, `5m`, `48h`, `7d` to milliseconds; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,9})(s|m|h|d)$/.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * durationUnits[match[2] as keyof typeof durationUnits];
}

/** `8Gi`, `500Mi`, `4096` to bytes; undefined for anything else. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,12})(Ki|Mi|Gi|Ti)?$/.exec(text);
  if (match === null) return undefined;
  const bytes = Number(match[1]) * sizeUnits[(match[2] ?? '') as keyof typeof sizeUnits];
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** Bytes as people read them: `512 B`, `88 MiB`, `1.4 GiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (value < 1024) return `${value < 10 && unit !== 'B' ? value.toFixed(1) : Math.round(value)} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(1)} TiB`;
}

/** A duration in milliseconds as people say it: `850 ms`, `2.1 s`, `18 minutes`, `6 hours`, `3 days`. */
export function formatDuration(milliseconds: number): string {
  const ms = Math.max(0, milliseconds);
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  const steps = [
    [60_000, 1_000, 'second'],
    [3_600_000, 60_000, 'minute'],
    [2 * 86_400_000, 3_600_000, 'hour'],
    [Number.POSITIVE_INFINITY, 86_400_000, 'day'],
  ] as const;
  for (const [below, unit, name] of steps) {
    if (ms < below) {
      const count = Math.floor(ms / unit);
      return `${count} ${name}${count === 1 ? '' : 's'}`;
    }
  }
  return '';
}

/** How long ago something was: `just now`, `8 seconds ago`, `18 minutes ago`. A clock that is ahead counts as now. */
export function formatAge(milliseconds: number): string {
  if (milliseconds < 1_000) return 'just now';
  // Nobody means tenths of a second when speaking of the past.
  if (milliseconds >= 10_000) return `${formatDuration(milliseconds)} ago`;
  const seconds = Math.floor(milliseconds / 1_000);
  return `${seconds} second${seconds === 1 ? '' : 's'} ago`;
}

/** A count with separators, the same in every locale: `88,213,004`. */
export function formatCount(count: number | bigint): string {
  return count.toString().replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** A moment as people read it, always in UTC: `2026-11-21 14:00 UTC`, with seconds where they are not zero. */
export function formatTime(time: Date): string {
  const text = time.toISOString();
  const clock = text.slice(17, 19) === '00' ? text.slice(11, 16) : text.slice(11, 19);
  return `${text.slice(0, 10)} ${clock} UTC`;
}
