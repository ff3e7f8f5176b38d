import type { Labels } from './config.ts';

/** True where `own` has each of `wanted`; none wanted: true. */
export function carries(own: Labels, wanted: Labels): boolean {
  // Asked for each pair of a selector and an object, so nothing is made for it.
  for (const key in wanted) {
    if (!Object.hasOwn(own, key) || own[key] !== wanted[key]) return false;
  }
  return true;
}
