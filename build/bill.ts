/** The bill of materials of the package, as CycloneDX: what is built in, and what npm installs beside it. */
import { byName, type Package } from './packages.ts';

/** As much of package-lock.json as is needed here. */
export interface Lock {
  readonly packages: Readonly<Record<string, LockEntry>>;
}

interface LockEntry {
  readonly name?: string;
  readonly version?: string;
  readonly license?: string;
  readonly integrity?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
}

interface Component {
  readonly name: string;
  readonly version: string;
  readonly [field: string]: unknown;
}

/**
 * Always the same for the same packages: no time and no serial number stands in it.
 * @param built of which code is part of the program
 * @param own Granary itself
 */
export function billOfMaterials(
  built: readonly Package[],
  own: { readonly name: string; readonly version: string; readonly license: string },
  lock: Lock,
): object {
  const entries = Object.entries(lock.packages).filter(([path]) => path !== '');
  const inside = new Set(built.map(({ name, version }) => `${name}@${version}`));
  const named = entries.map(([path, entry]) => ({
    name: entry.name ?? path.replace(/^.*node_modules\//, ''),
    version: entry.version ?? '',
    entry,
  }));
  const listed = named.filter(
    ({ name, version, entry }) => entry.dev !== true || inside.has(`${name}@${version}`),
  );
  const components = listed.map(({ name, version, entry }) => component(name, version, entry));
  // Two folders of node_modules may hold the same package.
  const once = new Map(components.toSorted(byName).map((one) => [`${one.name}@${one.version}`, one]));
  for (const one of inside)
    if (!once.has(one)) throw new Error(`${one} is part of the program and not in package-lock.json`);
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.5.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: {
      component: { ...component(own.name, own.version, own), type: 'application' },
    },
    components: [...once.values()],
  };
}

function component(name: string, version: string, entry: LockEntry): Component {
  const { license, integrity, optional } = entry;
  const [alg, hash = ''] = integrity?.split('-') ?? [];
  return {
    type: 'library',
    'bom-ref': `${name}@${version}`,
    ...{ name, version },
    // `optional`: npm installs one of these, by the machine.
    scope: optional === true ? 'optional' : 'required',
    ...(alg === 'sha512' && {
      hashes: [{ alg: 'SHA-512', content: Buffer.from(hash, 'base64').toString('hex') }],
    }),
    ...(license !== undefined && {
      licenses: [/[ ()]/.test(license) ? { expression: license } : { license: { id: license } }],
    }),
    purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
  };
}
