/** Text for people: colour, wrapping, tables. Functions return strings and print nothing. */
import { stripVTControlCharacters, styleText } from 'node:util';

export { printable } from '../model/printable.ts';

export interface TextOptions {
  /** Columns of the terminal. */
  readonly width: number;
  /** Whether to use colour. Whoever prints decides, and obeys NO_COLOR there. */
  readonly color?: boolean | undefined;
}

export type Style = 'red' | 'yellow' | 'green' | 'cyan' | 'dim' | 'bold';

/** `text` in a style, or as it is where there is no colour. */
export function paint(style: Style, text: string, color: boolean | undefined): string {
  return color === true ? styleText(style, text, { validateStream: false }) : text;
}

/** Scripts and signs that terminals draw two columns wide (Unicode East Asian Width `W` and `F`, and emoji). */
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
/** Drawn onto the character before. */
const combining = /^(?:\p{Mn}|\p{Me}|[\u200b-\u200d])$/u;
const plain = /^[\x20-\x7e]*$/;

function columnsOf(character: string): number {
  if (combining.test(character)) return 0;
  return wide.test(character) ? 2 : 1;
}

/** Columns that a text takes, colour aside. */
export function textWidth(text: string): number {
  const bare = stripVTControlCharacters(text);
  if (plain.test(bare)) return bare.length;
  return [...bare].reduce((sum, character) => sum + columnsOf(character), 0);
}

export function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - textWidth(text)));
}

export function padStart(text: string, width: number): string {
  return ' '.repeat(Math.max(0, width - textWidth(text))) + text;
}

/** Cut to `width` columns, with `…` in place of what is gone. */
export function shorten(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  let kept = '';
  let columns = 1;
  for (const character of text) {
    columns += columnsOf(character);
    if (columns > width) break;
    kept += character;
  }
  return width <= 0 ? '' : `${kept}…`;
}

/** Broken at blanks into lines of at most `width` columns; a word that is longer stands on a line of its own. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && textWidth(line) + 1 + textWidth(word) > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** `1 error`, `2 errors`. */
export function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}
