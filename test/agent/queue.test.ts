import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ClusterJob, ClusterQueue } from '../../src/agent/queue.ts';

interface TestJob extends ClusterJob {
  readonly name: string;
  readonly end: () => void;
  readonly ended: Promise<void>;
  readonly released: () => number;
}

function job(cluster: string, name = cluster, isSuspect = false): TestJob {
  const { promise, resolve } = Promise.withResolvers<void>();
  let released = 0;
  return {
    cluster,
    name,
    isSuspect,
    end: resolve,
    ended: promise,
    release: () => {
      released += 1;
    },
    released: () => released,
  };
}

function makeQueue(common: number, { suspect = 1, aside = 1 } = {}) {
  const started: string[] = [];
  const ends: (() => void)[] = [];
  const queue = new ClusterQueue<TestJob>(
    { common, suspect, aside },
    async (one) => {
      started.push(one.name);
      await one.ended;
    },
    () => {
      for (const tell of ends.splice(0)) tell();
    },
  );
  const end = async (one: TestJob) => {
    const told = new Promise<void>((resolve) => ends.push(resolve));
    one.end();
    await told;
  };
  return { queue, started, end };
}

const names = (jobs: readonly TestJob[]) => jobs.map(({ name }) => name);

test('a cluster that hangs takes one place, and the others go on', async () => {
  const { queue, started, end } = makeQueue(2);
  const [hanging, b, c, d] = [job('a'), job('b'), job('c'), job('d')];
  queue.replaceWaiting([hanging, b, c, d]);
  expect(started).toEqual(['a', 'b']);
  await end(b);
  await end(c);
  expect(started).toEqual(['a', 'b', 'c', 'd']);
  expect(names(queue.running)).toEqual(['a', 'd']);
  expect([b.released(), hanging.released()]).toEqual([1, 0]);
});

test('of 500 clusters the 100 that failed before hang for ever, and the others are all worked on', async () => {
  const { queue, started, end } = makeQueue(2, { suspect: 2 });
  const dead = Array.from({ length: 100 }, (_, index) => job(`dead-${index}`, `dead-${index}`, true));
  const sound = Array.from({ length: 400 }, (_, index) => job(`sound-${index}`));
  // Whoever waits first is dead.
  queue.replaceWaiting([...dead, ...sound]);
  for (const one of sound) {
    expect(queue.running).toContain(one);
    await end(one);
  }
  expect(started.filter((name) => name.startsWith('dead'))).toEqual(['dead-0', 'dead-1']);
  expect(queue.waiting).toBe(98);
  // One of them gives up, and the next of them has its place.
  await end(dead[0] as TestJob);
  expect(started.at(-1)).toBe('dead-2');
});

test('a cluster that does not answer makes room, as long as there is room for it', async () => {
  const { queue, started, end } = makeQueue(2, { aside: 2 });
  const [a, b, c, d, e, f, g] = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((name) => job(name));
  if (!a || !b || !c || !d || !e || !f || !g) throw new Error('no jobs');
  queue.replaceWaiting([a, b, c, d, e, f, g]);
  queue.stepAside('a');
  queue.stepAside('a');
  queue.stepAside('b');
  expect(started).toEqual(['a', 'b', 'c', 'd']);
  queue.stepAside('c');
  expect(started).toEqual(['a', 'b', 'c', 'd']);
  // One answers, and counts again: the next begins when two have ended.
  queue.stepBack('a');
  await end(c);
  expect(started).toEqual(['a', 'b', 'c', 'd']);
  await end(d);
  expect(started).toEqual(['a', 'b', 'c', 'd', 'e']);
  await end(b);
  queue.stepAside('e');
  expect(started.at(-1)).toBe('f');
});

test('a new plan replaces what waits and keeps its place; what runs goes on', async () => {
  const { queue, started, end } = makeQueue(1);
  const [running, old, gone] = [job('a'), job('b', 'old b'), job('c')];
  queue.replaceWaiting([running, old, gone]);
  queue.replaceWaiting([job('d'), job('b', 'new b')]);
  expect([running.released(), old.released(), gone.released()]).toEqual([0, 1, 1]);
  expect(queue.waiting).toBe(2);
  await end(running);
  expect(started).toEqual(['a', 'new b']);
});

test('a job waits for the one of its own cluster', async () => {
  const { queue, started, end } = makeQueue(5);
  const first = job('a', 'first');
  queue.replaceWaiting([first]);
  queue.replaceWaiting([job('a', 'second')]);
  expect(started).toEqual(['first']);
  await end(first);
  expect(started).toEqual(['first', 'second']);
});

test('closed, it lets what runs end and begins nothing', async () => {
  const { queue, started } = makeQueue(1);
  const [running, waiting, late] = [job('a'), job('b'), job('c')];
  queue.replaceWaiting([running, waiting]);
  const closed = queue.close();
  queue.replaceWaiting([late]);
  expect([waiting.released(), late.released()]).toEqual([1, 1]);
  running.end();
  await closed;
  expect(started).toEqual(['a']);
  expect(queue.isIdle).toBe(true);
});

test('whatever comes in whatever order: never two of a cluster, never too many, each released once', async () => {
  const cluster = fc.constantFrom('a', 'b', 'c', 'd');
  const step = fc.oneof(
    fc.uniqueArray(cluster, { maxLength: 4 }).map((clusters) => ({ plan: clusters })),
    fc.nat(3).map((index) => ({ end: index })),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.array(step, { maxLength: 30 }),
      async (limit, steps) => {
        const { queue, end } = makeQueue(limit);
        const all: TestJob[] = [];
        for (const one of steps) {
          if ('plan' in one) {
            const jobs = one.plan.map((name) => job(name));
            all.push(...jobs);
            queue.replaceWaiting(jobs);
          } else {
            const running = queue.running[one.end];
            if (running !== undefined) await end(running);
          }
          const clusters = queue.running.map((each) => each.cluster);
          expect(new Set(clusters).size).toBe(clusters.length);
          expect(clusters.length).toBeLessThanOrEqual(limit);
        }
        const closed = queue.close();
        for (const running of queue.running) running.end();
        await closed;
        expect(all.map((each) => each.released())).toEqual(all.map(() => 1));
      },
    ),
  );
});
