import { ulid } from 'ulid';
import type { Attempt } from '../model/names.ts';

/** A fresh id for one try to fulfil a slot: a ULID, so that ids sort by the time they were made. */
export function newAttempt(): Attempt {
  return ulid() as Attempt;
}
