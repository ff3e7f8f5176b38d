/**
 * Writes `seeds/` of this fleet: `node examples/fleet/generate.ts`. Everything else here is written by hand.
 *
 * Fifty files of one form are better made than typed, and a review shows what a change of the form does to each of them.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

interface Site {
  readonly organization: string;
  readonly region: 'eu' | 'us' | 'ap';
  readonly city: string;
}

const sites: Readonly<Record<string, Readonly<Record<Site['region'], readonly string[]>>>> = {
  acme: {
    eu: ['amsterdam', 'berlin', 'dublin', 'lyon', 'madrid', 'prague', 'vienna', 'zurich'],
    us: ['atlanta', 'boston', 'chicago', 'dallas', 'denver', 'seattle'],
    ap: ['osaka', 'seoul', 'singapore', 'sydney', 'tokyo'],
  },
  birch: {
    eu: ['bergen', 'gdansk', 'helsinki', 'malmo', 'oslo', 'riga', 'stockholm', 'tallinn', 'turku', 'vilnius'],
    us: ['anchorage', 'buffalo', 'minneapolis', 'portland', 'toronto', 'vancouver'],
    ap: ['sapporo', 'sendai'],
  },
  cedar: {
    eu: ['athens', 'lisbon', 'milan', 'naples', 'porto', 'rome', 'seville'],
    us: ['austin', 'miami', 'phoenix'],
    ap: ['bangkok', 'hanoi', 'manila'],
  },
};

/** The applications that run in clusters; each has its production first, then what is made before it. */
const applications = [
  'shop',
  'billing',
  'search',
  'identity',
  'metrics',
  'ledger',
  'mail',
  'batch',
  'edge',
  'media',
];

/** Files by path below this folder, the same ones each time. */
export function fleetSeeds(): Map<string, string> {
  const all = Object.entries(sites).flatMap(([organization, regions]) =>
    Object.entries(regions).flatMap(([region, cities]) =>
      cities.map((city): Site => ({ organization, region: region as Site['region'], city })),
    ),
  );
  return new Map(all.map((site, index) => [`seeds/${nameOf(site)}.yaml`, seedText(site, index)]));
}

function nameOf({ organization, region, city }: Site): string {
  return `${organization}-${region}-${city}`;
}

function seedText(site: Site, index: number): string {
  const { organization, region, city } = site;
  const isGold = index % 5 === 0;
  // 3 to 20 clusters, in no order that anybody would see.
  const count = 3 + ((index * 7) % 18);
  const lines = [
    'apiVersion: granary.dev/v1',
    'kind: Seed',
    'metadata:',
    `  name: ${nameOf(site)}`,
    '  labels:',
    `    organization: ${organization}`,
    `    region: ${region}`,
    `    tier: ${isGold ? 'gold' : 'silver'}`,
    ...(isGold ? ['    protected: "true"'] : []),
    'spec:',
    `  displayName: ${capital(organization)} ${capital(city)}`,
    `  organization: ${organization}`,
    `  defaultDestination: ${organization}-${region}`,
    '  clusters:',
    ...Array.from({ length: count }, (_, cluster) => clusterLines(site, index, cluster, isGold)).flat(),
  ];
  return `${lines.join('\n')}\n`;
}

function clusterLines({ organization }: Site, seed: number, cluster: number, isGold: boolean): string[] {
  const application = applications[Math.floor(cluster / 2) % applications.length] ?? 'shop';
  const isProduction = cluster % 2 === 0;
  const members = isProduction ? [1, 2, 3] : [1];
  return [
    `    - name: ${application}-${isProduction ? 'prod' : 'test'}`,
    '      labels:',
    `        organization: ${organization}`,
    `        env: ${isProduction ? 'prod' : 'test'}`,
    ...(isGold && isProduction ? ['        tier: gold'] : []),
    '      endpoints:',
    ...members.map((member) => `        - https://10.${seed + 1}.${cluster + 1}.${member}:2379`),
    '      tls:',
    '        caFile: /etc/etcd/ca.crt',
    '        certFile: /etc/etcd/client.crt',
    '        keyFile: /etc/etcd/client.key',
    // Where etcd also asks for a user, the organization has one for all of its clusters.
    ...(organization === 'cedar' ? ['      auth:', '        credential: cedar-etcd'] : []),
  ];
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

if (import.meta.main) {
  rmSync(join(import.meta.dirname, 'seeds'), { recursive: true, force: true });
  for (const [file, text] of fleetSeeds()) {
    const path = join(import.meta.dirname, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}
