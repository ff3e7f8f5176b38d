/** Commands that people may copy. */

/** One word of a command line, quoted for a POSIX shell where that is needed. */
export function shellWord(text: string): string {
  return /^([\w@%+=:,./][\w@%+=:,./-]*|-)$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** One command line: options as they are, all else quoted where a shell needs that. */
export function commandLine(...all: readonly string[]): string {
  return all.map((word) => (/^--?[a-z][a-z-]*$/.test(word) ? word : shellWord(word))).join(' ');
}
