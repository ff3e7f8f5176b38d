import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { answerMs, within } from '../../src/store/patience.ts';

const { signal } = new AbortController();

describe('a destination that is waited for', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Answers as often as it is told to, and never ends. */
  function asking() {
    let answer: () => void = () => {};
    const waiting = within(answerMs, signal, (limited, answered) => {
      answer = answered;
      return new Promise((_, reject) => limited.addEventListener('abort', () => reject(limited.reason)));
    }).catch((error: unknown) => error);
    return { waiting, answer: () => answer() };
  }

  test('is given up when its time is over without an answer', async () => {
    const { waiting } = asking();
    await vi.advanceTimersByTimeAsync(answerMs);
    expect(await waiting).toMatchObject({
      code: 'store-unreachable',
      message: 'no answer within 30 seconds',
    });
  });

  test('has all of its time again after each answer: a long listing is no silence', async () => {
    const { waiting, answer } = asking();
    const ended = vi.fn();
    void waiting.then(ended);
    for (let page = 0; page < 5; page++) {
      await vi.advanceTimersByTimeAsync(answerMs - 1);
      answer();
    }
    expect(ended).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(answerMs);
    expect(await waiting).toMatchObject({ code: 'store-unreachable' });
  });

  test('that has answered leaves no timer', async () => {
    expect(await within(answerMs, signal, async () => 'there')).toBe('there');
    expect(vi.getTimerCount()).toBe(0);
  });
});
