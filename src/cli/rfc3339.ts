/** Moments as programs write them. */

const rfc3339Pattern =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$/;

/** A moment in RFC 3339; undefined for anything else, also for 30 February, which `Date` would take for 2 March. */
export function rfc3339(text: string): Date | undefined {
  const [, year, month, day] = rfc3339Pattern.exec(text) ?? [];
  if (year === undefined) return undefined;
  const days = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  if (Number(month) < 1 || Number(month) > 12 || Number(day) < 1 || Number(day) > days) return undefined;
  const time = new Date(text.toUpperCase().replace(' ', 'T'));
  // Slots have four digits for the year, in UTC.
  const inRange = time.getTime() >= Date.UTC(0, 0, 1) && time.getUTCFullYear() <= 9999;
  return inRange ? time : undefined;
}
