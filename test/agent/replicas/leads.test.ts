import { expect, test } from 'vitest';
import { leads, newAgentState, newSeedState } from '../../../src/agent/state.ts';

test('one of two replicas speaks for each seed, and one for what is of no seed', () => {
  const make = (ofEu: boolean, ofUs: boolean) => {
    const state = newAgentState(new Date());
    for (const [name, own] of Object.entries({ us: ofUs, eu: ofEu })) {
      const seed = newSeedState(name);
      seed.share.leads = own;
      state.seeds.set(name, seed);
    }
    return state;
  };
  const [one, other] = [make(true, false), make(false, true)];
  expect([one, other].map((state) => leads(state, 'eu'))).toEqual([true, false]);
  expect([one, other].map((state) => leads(state, 'us'))).toEqual([false, true]);
  expect([one, other].map((state) => leads(state, null))).toEqual([true, false]);
  // Before there is a configuration nobody else can be known of.
  expect(leads(newAgentState(new Date()), null)).toBe(true);
});
