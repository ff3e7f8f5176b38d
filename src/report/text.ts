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

/** Columns that a text takes, colour aside. */
export function textWidth(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}

export function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - textWidth(text)));
}

export function padStart(text: string, width: number): string {
  return ' '.repeat(Math.max(0, width - textWidth(text))) + text;
}

/** Cut to `width` columns, with `…` in place of what is gone. */
export function shorten(text: string, width: number): string {
  const characters = [...text];
  if (characters.length <= width) return text;
  return width <= 0 ? '' : `${characters.slice(0, width - 1).join('')}…`;
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
