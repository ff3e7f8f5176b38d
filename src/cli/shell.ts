/** Commands that people may copy. */

/** One word of a command line, quoted for a POSIX shell where that is needed. */
export function shellWord(text: string): string {
  return /^([\w@%+=:,./][\w@%+=:,./-]*|-)$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
