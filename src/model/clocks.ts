/**
 * By how much two clocks may differ before one of them must be wrong, in milliseconds: the clocks of machines, of stores, and
 * of whoever has named a slot (reference "storage", Retention 3 and 9).
 */
export const clockToleranceMs = 5 * 60_000;
