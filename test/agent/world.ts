/** Configurations for agents: seeds of one or more clusters, a folder as destination, a policy. */

export interface World {
  /** Endpoint of each cluster by name, by name of the seed. */
  readonly seeds: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Folder of the destination `disk`; it must be there. */
  readonly disk: string;
  /** Name of the policy; default `often`. */
  readonly policy?: string;
  readonly cron?: string;
  readonly last?: number;
}

/** Files by path. */
export function configuration(world: World): Record<string, string> {
  const seeds = Object.entries(world.seeds).map(([name, clusters]): [string, string] => [
    `seeds/${name}.yaml`,
    [
      ...object('Seed', name),
      '  defaultDestination: disk',
      '  clusters:',
      ...Object.entries(clusters).map(
        ([cluster, endpoint]) => `    - {name: ${cluster}, endpoints: ["${endpoint}"]}`,
      ),
      '',
    ].join('\n'),
  ]);
  return Object.fromEntries([
    ...seeds,
    [
      'destinations/disk.yaml',
      [...object('Destination', 'disk'), '  provider: filesystem', `  path: ${world.disk}`, ''].join('\n'),
    ],
    [
      'policies/policy.yaml',
      [
        ...object('Policy', world.policy ?? 'often'),
        '  clusters: {}',
        `  schedule: {cron: "${world.cron ?? '0 0 1 1 *'}"}`,
        `  keep: {last: ${world.last ?? 3}}`,
        '',
      ].join('\n'),
    ],
  ]);
}

function object(kind: string, name: string): string[] {
  return ['apiVersion: granary.dev/v1', `kind: ${kind}`, `metadata: {name: ${name}}`, 'spec:'];
}
