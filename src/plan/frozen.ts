/** Clusters whose removals are frozen by what a backup found, until somebody has looked at it (`src/model/freeze.ts`). */
import { openFreezes, wordsForFreeze } from '../model/freeze.ts';
import type { Guard } from '../model/generated/plan.ts';
import type { Freeze } from '../model/inventory.ts';
import type { Removal } from './actions.ts';
import { type GuardInput, guard } from './guard.ts';

/**
 * Unlike other guards on removals these stand in the plan also where there is nothing to remove: they say that something
 * is wrong with the data itself.
 */
export function frozenClusters({ desired, holdings }: GuardInput, removals: readonly Removal[]): Guard[] {
  const known = new Set(
    desired.configuration.seeds.flatMap((seed) => seed.clusters.map(({ name }) => `${seed.name}/${name}`)),
  );
  const open = openFreezes([...holdings.read.values()]).filter(({ seed, cluster }) =>
    known.has(`${seed}/${cluster}`),
  );
  const clusters = Map.groupBy(open, ({ seed, cluster }) => `${seed}/${cluster}`);
  return [...clusters].toSorted().flatMap(([name, freezes]) => {
    const blocked = removals.filter(({ seed, cluster }) => `${seed}/${cluster}` === name);
    return guardsFor(name, freezes, blocked);
  });
}

function guardsFor(name: string, freezes: readonly Freeze[], blocked: readonly Removal[]): Guard[] {
  const [seed = '', cluster = ''] = name.split('/');
  const guards: Guard[] = [];
  if (freezes.some(({ kind }) => kind === 'members')) {
    guards.push(
      guard(
        'frozen-divergence',
        `the members of ${name} hold different data; removals freeze until they agree`,
        `the manifest of its newest backup has what each answered; \`etcdctl endpoint hashkv --cluster\` shows it now: replace the member that is wrong. The next backup in which all agree lifts this, or \`granary accept ${name}\``,
        blocked,
        { seed, cluster },
      ),
    );
  }
  const steps = freezes.filter(({ kind }) => kind !== 'members').toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const [first] = steps;
  if (first !== undefined) {
    guards.push(
      guard(
        'frozen-regression',
        `${name} went back: ${wordsForFreeze(first.kind)}; removals freeze until that is accepted`,
        `if it was restored or replaced on purpose, \`granary accept ${name}\`; else find out what happened: \`granary restore ${name}\` takes the newest backup from before`,
        blocked,
        { seed, cluster },
      ),
    );
  }
  return guards;
}
