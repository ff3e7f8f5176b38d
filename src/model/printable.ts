/**
 * Text from outside, made safe for a terminal and for one line: control characters become visible escapes, so that a
 * name in a file can neither move the cursor nor forge a line. Also what turns the direction of text around.
 */
export function printable(text: string): string {
  return text.replaceAll(unsafe, (character) => {
    const code = character.codePointAt(0) ?? 0;
    if (character === '\n') return '\\n';
    if (character === '\t') return '\\t';
    return code < 0x100
      ? `\\x${code.toString(16).padStart(2, '0')}`
      : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

const unsafe = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/**
 * Text for people that may end up in the log of a workflow: none of its lines is a command there. The runner looks for
 * `::` at the beginning of a line, blanks aside, and for `##[` anywhere.
 */
export function withoutCommands(text: string): string {
  return text.replaceAll(/^(\s*):(?=:)/gm, '$1\\x3a').replaceAll('##[', '#\\x23[');
}
