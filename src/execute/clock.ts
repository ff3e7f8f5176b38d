/** This machine's clock beside a store's (reference "storage", rule 9). */

/**
 * How far a store's clock lies outside of the time in which it was asked, in milliseconds. Stores tell whole seconds.
 * @param began milliseconds since 1970 when the request was sent
 * @param ended when its answer was there
 */
export function clockDifference(storeTime: Date, began: number, ended: number): number {
  const time = storeTime.getTime();
  return Math.max(0, began - time - 1_000, time - ended);
}
