import { inspect } from 'node:util';

/**
 * A value that must not be shown. It hides itself in string conversion, JSON and `console.log`;
 * `.reveal()` is the only way in, and easy to grep for.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [inspect.custom](): string {
    return '[secret]';
  }
}
