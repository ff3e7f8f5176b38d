import type { Inventory } from '../model/inventory.ts';

/** When the newest backup of each `cluster/policy` of a seed was published, as far as destinations could be read. */
export function newestPublished({ destinations }: Inventory, seed: string): Map<string, Date> {
  const newest = new Map<string, string>();
  for (const destination of destinations) {
    if (destination.status === 'unknown') continue;
    for (const copy of destination.copies) {
      if (copy.seed !== seed) continue;
      const key = `${copy.cluster}/${copy.policy}`;
      const known = newest.get(key);
      // RFC 3339 in UTC: the order of the texts is that of the moments.
      if (known === undefined || copy.published > known) newest.set(key, copy.published);
    }
  }
  return new Map([...newest].map(([key, time]) => [key, new Date(time)]));
}
