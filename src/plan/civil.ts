/**
 * Days and months of the Gregorian calendar by whole numbers alone: a `Date` for each of half a million backups takes
 * longer than the rules that are applied to them. After https://howardhinnant.github.io/date_algorithms.html.
 */

/** Days of the 400 years after which the calendar repeats itself, counted from 1 March of the year 0. */
const eraDays = 146_097;
/** From 1 March of the year 0 to 1 January 1970. */
const epochDays = 719_468;

/** Days from 1 January 1970 to a date. @param month 1 to 12 */
export function daysOf(year: number, month: number, day: number): number {
  const marchYear = month > 2 ? year : year - 1;
  const era = Math.floor(marchYear / 400);
  const yearOfEra = marchYear - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const leapDays = Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100);
  return era * eraDays + yearOfEra * 365 + leapDays + dayOfYear - epochDays;
}

/** Months from January of the year 0 to the one that a day lies in. @param days since 1 January 1970 */
export function monthsOf(days: number): number {
  const shifted = days + epochDays;
  const era = Math.floor(shifted / eraDays);
  const dayOfEra = shifted - era * eraDays;
  const leapDays =
    Math.floor(dayOfEra / 1_460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  // Counted from March, so that January and February, 10 and 11, fall into the next year by themselves.
  const month = Math.floor((5 * dayOfYear + 2) / 153);
  return (era * 400 + yearOfEra) * 12 + month + 2;
}
