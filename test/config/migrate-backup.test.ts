/** `backup:` of a seed, in every way that YAML lets people write it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { ConfigurationFile, FoundFiles } from '../../src/config/index.ts';
import { configurationOf, migrateBackups } from '../../src/config/index.ts';
import type { Configuration } from '../../src/model/config.ts';
import { backupName } from '../../src/model/names.ts';
import { makeCertificates } from '../servers/certificates.ts';
import { tempFolder } from '../servers/temp.ts';

function found(files: Readonly<Record<string, string>>): FoundFiles {
  const all = Object.entries(files).map(([file, text]): ConfigurationFile => ({ file, text }));
  return { files: all, diagnostics: [], count: all.length };
}

interface Migrated {
  /** All files afterwards. */
  readonly texts: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
  readonly before: Configuration;
  readonly after: Configuration;
}

function migrated(files: Readonly<Record<string, string>>): Migrated {
  const before = configurationOf(found(files));
  const { files: changed, notes } = migrateBackups(found(files), before, () => true);
  const texts = { ...files, ...Object.fromEntries(changed.map(({ path, after }) => [path, after])) };
  const sorted = Object.fromEntries(Object.entries(texts).sort(([a], [b]) => (a < b ? -1 : 1)));
  return { texts: sorted, notes, before, after: configurationOf(found(sorted)) };
}

const codes = ({ diagnostics }: Configuration) => diagnostics.map(({ code }) => code);

/** The seed's text, where it is the only file. */
const seedAfter = (text: string) => migrated({ 'seeds/eu.yaml': text }).texts['seeds/eu.yaml'];

const head = 'apiVersion: granary.dev/v1\nkind: Seed\nmetadata: {name: eu}\n';
const clusters = '  clusters:\n    - {name: a, endpoints: ["http://10.0.0.1:2379"]}\n';
const commented = `# first of all
apiVersion: granary.dev/v1 # version
kind:   Seed   # three blanks stay
metadata: {name: eu}
spec: # what it is
  displayName: "EU West"
  # above clusters
  clusters:
    - name: a   # in a list
      endpoints: ["http://10.0.0.1:2379",   "http://10.0.0.2:2379"]
      # deep, of the cluster

  # right above, first
  # right above, second
  backup: # behind the key
    # above the bucket
    bucket: 'old'   # behind the bucket
    endpoint: http://minio.example:9000

    # between fields
    prefix: etcd/eu
    # after the last field

  # not of the backup
  enabled: true
# last of all
`;

describe('the text of the seed', () => {
  test('only the lines of the field change; its comments go with it, all others stay', () => {
    const { texts, after } = migrated({ 'seeds/eu.yaml': commented });
    const start = commented.indexOf('  # right above, first');
    const end = commented.indexOf('\n  # not of the backup');
    expect(texts['seeds/eu.yaml']).toBe(
      `${commented.slice(0, start)}  defaultDestination: eu-backup\n${commented.slice(end)}`,
    );
    expect(texts['destinations/eu-backup.yaml']).toBe(`# right above, first
# right above, second
# behind the key
apiVersion: granary.dev/v1
kind: Destination
metadata:
  name: eu-backup
spec:
  provider: s3
  seeds: [eu]
  # above the bucket
  bucket: old # behind the bucket
  endpoint: http://minio.example:9000
  # between fields
  prefix: etcd/eu
  forcePathStyle: true
  # after the last field
`);
    expect(texts['policies/eu-backup.yaml']).toBe(`apiVersion: granary.dev/v1
kind: Policy
metadata:
  name: eu-backup
spec:
  clusters:
    seeds: [eu]
  schedule:
    cron: "*/20 * * * *"
  keep:
    last: 20
`);
    expect(codes(after)).toEqual([]);
  });

  test.each([
    [
      'last and without a line end',
      `${head}spec:\n${clusters}  backup: {bucket: old}`,
      `${head}spec:\n${clusters}  defaultDestination: eu-backup`,
    ],
    [
      'flow style',
      `${head}spec:\n${clusters}  backup: {bucket: old, region: eu-1} # why\n`,
      `${head}spec:\n${clusters}  defaultDestination: eu-backup\n`,
    ],
    [
      'quoted keys',
      `${head}spec:\n  "backup":\n    'bucket': old\n${clusters}`,
      `${head}spec:\n  defaultDestination: eu-backup\n${clusters}`,
    ],
    [
      'line ends of Windows',
      `${head}spec:\n${clusters}  backup:\n    bucket: old\n  enabled: true\n`.replaceAll('\n', '\r\n'),
      `${head}spec:\n${clusters}  defaultDestination: eu-backup\n  enabled: true\n`.replaceAll('\n', '\r\n'),
    ],
    [
      'a byte order mark',
      `\ufeff${head}spec:\n${clusters}  backup: {bucket: old}\n`,
      `\ufeff${head}spec:\n${clusters}  defaultDestination: eu-backup\n`,
    ],
    [
      'a block that begins on the next line',
      `${head}spec:\n  backup:\n\n      bucket: old\n      region: eu-1\n${clusters}`,
      `${head}spec:\n  defaultDestination: eu-backup\n${clusters}`,
    ],
    [
      'a spec in flow style',
      `${head}spec: {backup: {bucket: old}, clusters: [{name: a, endpoints: ["http://1.2.3.4:2379"]}]}\n`,
      `${head}spec: {defaultDestination: eu-backup, clusters: [{name: a, endpoints: ["http://1.2.3.4:2379"]}]}\n`,
    ],
    [
      'a text of several lines, then more',
      `${head}spec:\n  backup:\n    region: eu-1\n    bucket: >-\n      old\n\n  # stays\n${clusters}`,
      `${head}spec:\n  defaultDestination: eu-backup\n\n  # stays\n${clusters}`,
    ],
  ])('%s', (_, before, after) => {
    expect(seedAfter(before)).toBe(after);
  });

  test('JSON stays JSON', () => {
    const spec = {
      backup: { bucket: 'old', endpoint: 'http://m.example' },
      clusters: [{ name: 'a', endpoints: ['http://1.2.3.4:2379'] }],
    };
    const object = { apiVersion: 'granary.dev/v1', kind: 'Seed', metadata: { name: 'eu' }, spec };
    const after = JSON.parse(seedAfter(JSON.stringify(object, null, 2)) ?? '') as typeof object;
    expect(after.spec).toEqual({ defaultDestination: 'eu-backup', clusters: spec.clusters });
  });

  const named = 'defaultDestination: disk';
  const disk =
    'apiVersion: granary.dev/v1\nkind: Destination\nmetadata: {name: disk}\nspec: {provider: filesystem, path: /var/b}\n';
  const policy =
    'apiVersion: granary.dev/v1\nkind: Policy\nmetadata: {name: p}\nspec: {clusters: {}, schedule: {cron: "0 * * * *"}, keep: {last: 1}}\n';
  test.each([
    [
      'in the middle',
      `{${named}, backup: {bucket: old}, enabled: true, clusters: []}`,
      `{${named}, enabled: true, clusters: []}`,
    ],
    ['first', `{backup: {bucket: old}, ${named}, clusters: []}`, `{${named}, clusters: []}`],
    ['last', `{${named}, clusters: [], backup: {bucket: old}}`, `{${named}, clusters: []}`],
    [
      'last with a comma behind it',
      `{${named}, clusters: [], backup: {bucket: old},}`,
      `{${named}, clusters: [], }`,
    ],
    [
      'over lines',
      `{\n  ${named}, # a, b\n  backup: {bucket: old}, # c\n  clusters: [] }`,
      `{\n  ${named}, # a, b\n  # c\n  clusters: [] }`,
    ],
    [
      'last, behind a comment',
      `{\n  ${named},\n  clusters: [], # a, b\n  backup: {bucket: old}\n  }`,
      `{\n  ${named},\n  clusters: [] # a, b\n  \n  }`,
    ],
  ])('taken out of a spec in flow style: %s', (_, before, after) => {
    const { texts } = migrated({ 'disk.yaml': disk, 'seeds/eu.yaml': `${head}spec: ${before}\n` });
    expect(texts['seeds/eu.yaml']).toBe(`${head}spec: ${after}\n`);
  });

  test('taken out of a block, with one of two blank lines', () => {
    const seed = `${head}spec:\n  ${named}\n\n  # old\n  backup:\n    bucket: old\n\n${clusters}`;
    const { texts } = migrated({ 'disk.yaml': disk, 'p.yaml': policy, 'seeds/eu.yaml': seed });
    expect(texts['seeds/eu.yaml']).toBe(`${head}spec:\n  ${named}\n\n${clusters}`);
    expect(texts['destinations/eu-backup.yaml']).toMatch(/^# old\n/);
  });

  test('several seeds of one file, and a document that is none of them', () => {
    const other = head.replace('name: eu', 'name: us');
    const text = `${head}spec:\n${clusters}  backup: {bucket: old-eu}\n--- # the disk\n${disk}---\n${other}spec:\n  backup: {bucket: old-us}\n${clusters}`;
    const { texts, after } = migrated({ 'fleet.yaml': text });
    expect(Object.keys(texts)).toEqual([
      'destinations/eu-backup.yaml',
      'destinations/us-backup.yaml',
      'fleet.yaml',
      'policies/eu-backup.yaml',
      'policies/us-backup.yaml',
    ]);
    expect(texts['fleet.yaml']).toContain(`--- # the disk\n${disk}---\n`);
    expect(codes(after)).toEqual([]);
  });

  test('aliases in the field are written out', () => {
    const text = `${head.replace('{name: eu}', '&m\n  name: &n eu\n  labels: {old: &b legacy}')}spec:\n${clusters}  backup: {bucket: *b}\n`;
    const { texts } = migrated({ 'seeds/eu.yaml': text });
    expect(texts['destinations/eu-backup.yaml']).toContain('  bucket: legacy\n');
  });
});

describe('what cannot be taken out is refused, with its place', () => {
  test.each([
    [
      'an anchor that is used elsewhere',
      `${head}spec:\n  backup: {bucket: &b old}\n  displayName: *b\n${clusters}`,
      'seeds/eu.yaml:5:3',
      '`&b` is set here',
    ],
    [
      'an explicit key',
      `${head}spec:\n  ? backup\n  : bucket: old\n${clusters}`,
      'seeds/eu.yaml:5:5',
      'does not begin its line',
    ],
    [
      'a key with a tag',
      `${head}spec:\n  !!str backup: {bucket: old}\n${clusters}`,
      'seeds/eu.yaml:5:',
      'does not begin its line',
    ],
  ])('%s', (_, text, place, words) => {
    const run = () => migrated({ 'seeds/eu.yaml': text });
    expect(run).toThrow(place);
    expect(run).toThrow(words);
  });
});

describe('what it means', () => {
  const where = (configuration: Configuration) =>
    configuration.destinations.map(({ position: _, ...rest }) => rest);

  test('scope, names and place are those that `backup:` had', () => {
    using folder = tempFolder('migrate');
    const { caCertificate } = makeCertificates(folder.path);
    const authority = caCertificate.trimEnd().replaceAll('\n', '\n      ');
    const spec = `spec:\n  organization: acme\n  projects: [shop]\n${clusters}  backup:\n    bucket: old\n    caCertificate: |\n      ${authority}\n`;
    const { before, after, texts } = migrated({ 'eu.yaml': `${head}${spec}` });
    expect(where(after)).toEqual(where(before));
    expect(after.seeds.map(({ defaultDestination }) => defaultDestination)).toEqual(['eu-backup']);
    expect(Object.keys(texts)).toEqual(['destinations/eu-backup.yaml', 'eu.yaml', 'policies/eu-backup.yaml']);
  });

  test('a seed whose name is too long for `-backup`', () => {
    const long = `s${'-x'.repeat(31)}`;
    const { texts, after } = migrated({
      'eu.yaml': `${head.replace('name: eu', `name: ${long}`)}spec:\n${clusters}  backup: {bucket: old}\n`,
    });
    expect(Object.keys(texts)).toContain(`destinations/${backupName(long)}.yaml`);
    expect(codes(after)).toEqual([]);
  });

  const policy =
    'apiVersion: granary.dev/v1\nkind: Policy\nmetadata: {name: p}\nspec: {clusters: {}, schedule: {cron: "0 * * * *"}, keep: {last: 1}}\n';
  test('no Policy where one matches already', () => {
    const { texts, after } = migrated({
      'eu.yaml': `${head}spec:\n${clusters}  backup: {bucket: old}\n`,
      'p.yaml': policy,
    });
    expect(Object.keys(texts)).toEqual(['destinations/eu-backup.yaml', 'eu.yaml', 'p.yaml']);
    expect(after.policies.map(({ name }) => name)).toEqual(['p']);
  });

  test('where backups go to another default already, they go on doing so', () => {
    const other =
      'apiVersion: granary.dev/v1\nkind: Destination\nmetadata: {name: disk}\nspec: {provider: filesystem, path: /var/b, default: true}\n';
    const { texts, after, notes } = migrated({
      'd.yaml': other,
      'eu.yaml': `${head}spec:\n${clusters}  backup: {bucket: old}\n`,
      'p.yaml': policy,
    });
    expect(texts['eu.yaml']).toBe(`${head}spec:\n${clusters}`);
    expect(after.seeds[0]?.defaultDestination).toBe('disk');
    expect(notes.join()).toContain('backups of eu go to disk already');
  });

  test('a seed without clusters gets no Policy, and that is said', () => {
    const { texts, notes } = migrated({ 'eu.yaml': `${head}spec: {clusters: [], backup: {bucket: old}}\n` });
    expect(Object.keys(texts)).toEqual(['destinations/eu-backup.yaml', 'eu.yaml']);
    expect(notes.join()).toContain('eu has no clusters yet');
  });

  test('path style that somebody wrote stays written', () => {
    const { texts } = migrated({
      'eu.yaml': `${head}spec:\n${clusters}  backup: {bucket: old, forcePathStyle: false, endpoint: "https://s.example"}\n`,
    });
    expect(texts['destinations/eu-backup.yaml']).toContain('forcePathStyle: false');
  });

  test('nothing to do is nothing done', () => {
    const { texts } = migrated({ 'eu.yaml': `${head}spec:\n${clusters}  # backup: {bucket: old}\n` });
    expect(Object.keys(texts)).toEqual(['eu.yaml']);
  });
});

/** The lines of the commented seed, between which anybody may write a comment. */
const lines = commented.trimEnd().split('\n');

test('comments survive in all positions, with every line end', () => {
  const placed = fc.uniqueArray(
    fc.record({ line: fc.nat(lines.length), indent: fc.nat(8), behind: fc.boolean() }),
    {
      selector: ({ line }) => line,
      maxLength: 12,
    },
  );
  fc.assert(
    fc.property(placed, fc.constantFrom('\n', '\r\n'), (comments, lineEnd) => {
      const text = lines.flatMap((line, index) => {
        const comment = comments.find((one) => one.line === index);
        if (comment === undefined) return [line];
        const mark = `# planted ${index}: {a, "b"} - c`;
        if (comment.behind && line !== '' && !line.includes('#')) return [`${line} ${mark}`];
        return [`${' '.repeat(comment.indent)}${mark}`, line];
      });
      const { texts, after } = migrated({ 'seeds/eu.yaml': text.join(lineEnd) + lineEnd });
      const marks = (all: string) =>
        all
          .match(/# [^\r\n]*/g)
          ?.map((mark) => mark.trim())
          .sort();
      expect(marks(Object.values(texts).join('\n'))).toEqual(marks(text.join('\n')));
      expect(codes(after)).toEqual([]);
      for (const result of Object.values(texts)) {
        for (const document of parseAllDocuments(result)) {
          if (!('errors' in document)) continue;
          expect(document.errors).toEqual([]);
        }
      }
    }),
    { numRuns: 400 },
  );
});
