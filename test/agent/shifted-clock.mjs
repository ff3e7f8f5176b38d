// Loaded before the agent: its wall clock shows CLOCK at the start, and goes back by an hour with SIGUSR2.
const Real = globalThis.Date;
let shift = process.env.CLOCK === undefined ? 0 : Real.parse(process.env.CLOCK) - Real.now();
process.on('SIGUSR2', () => {
  shift -= 3_600_000;
});
globalThis.Date = class extends Real {
  constructor(...parts) {
    if (parts.length === 0) super(Real.now() + shift);
    else super(...parts);
  }

  static now() {
    return Real.now() + shift;
  }
};
