/** Something that several hold, and that is freed when the last of them lets it go. */
export class Shared<T extends AsyncDisposable> {
  readonly value: T;
  readonly #onError: (error: unknown) => void;
  readonly #freed = Promise.withResolvers<void>();
  #holders = 1;

  /** Held once, by whoever makes it. */
  constructor(value: T, onError: (error: unknown) => void) {
    this.value = value;
    this.#onError = onError;
  }

  hold(): this {
    this.#holders += 1;
    return this;
  }

  release(): void {
    this.#holders -= 1;
    if (this.#holders > 0) return;
    void this.#free();
  }

  /** Releases, and waits until nobody holds it any more. */
  async freed(): Promise<void> {
    this.release();
    await this.#freed.promise;
  }

  async #free(): Promise<void> {
    try {
      await this.value[Symbol.asyncDispose]();
    } catch (error) {
      this.#onError(error);
    } finally {
      this.#freed.resolve();
    }
  }
}
