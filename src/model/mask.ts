/** Enough of an access key to know it by: `AKIA…7QF2`. */
export function maskAccessKey(id: string): string {
  return id.length >= 12 ? `${id.slice(0, 4)}…${id.slice(-4)}` : `${id.slice(0, 2)}…`;
}
