import { readFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type Explanation, exampleYaml, explain, explainedKinds } from '../../src/config/explain.ts';
import { explanationText } from '../../src/report/explanation.ts';
import { expectFailure, granary, granaryJson } from './granary.ts';

/** Every field of every kind, by the paths that `explain` itself names. */
function everyPath(): string[] {
  const paths: string[] = [];
  const walk = (path: string) => {
    paths.push(path);
    for (const { name } of explain(path).fields) walk(`${path}.${name}`);
  };
  for (const kind of explainedKinds) walk(kind);
  return paths;
}

describe('granary explain', () => {
  test('a field: what it is for, what it takes, an example', async () => {
    const ran = await granary(['explain', 'policy.keep.daily']);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(ran.stdout).toContain('policy.spec.keep.daily: whole number, optional, default 0');
    expect(ran.stdout).toContain('One a day');
    expect(ran.stdout).toMatch(/Example\n {2}daily: 7\n/);
  });

  test('the same as JSON', async () => {
    expect(await granaryJson(['explain', 'policy.keep.daily'])).toEqual({
      path: 'policy.spec.keep.daily',
      type: 'whole number',
      description: 'One a day, for so many days that have one.',
      required: false,
      default: 0,
      format: 'a whole number from 0 to 100000',
      examples: [7],
      fields: [],
    });
  });

  test('a kind lists its fields, those of spec by their paths', () => {
    const { fields, path } = explain('policy');
    expect(path).toBe('policy');
    const required = fields.filter((field) => field.required).map(({ name }) => name);
    expect(required).toEqual([
      'apiVersion',
      'kind',
      'metadata',
      'spec.clusters',
      'spec.schedule',
      'spec.keep',
    ]);
    expect(fields.find(({ name }) => name === 'spec.stallTimeout')).toMatchObject({ default: '60s' });
  });

  test.each([
    ['Policies.KEEP.Daily', 'policy.spec.keep.daily'],
    ['policy.spec.keep.daily', 'policy.spec.keep.daily'],
    ['SEEDS', 'seed'],
    ['seed.clusters[0].tls.cafile', 'seed.spec.clusters.tls.caFile'],
    ['policy.destinations.keep.last', 'policy.spec.destinations.keep.last'],
    ['seed.metadata.labels.tier', 'seed.metadata.labels.tier'],
    ['credential.data.accessKeyId', 'credential.data.accessKeyId'],
    ['repositories.removal', 'repository.spec.removal'],
  ])('%s is %s', (text, path) => expect(explain(text).path).toBe(path));

  test('allowed values, also where each provider has its own', () => {
    expect(explain('policy.verify.hashKV').enum).toEqual(['require', 'try', 'off']);
    expect(explain('destination.provider')).toMatchObject({ required: true });
    expect(explain('destination.provider').enum).toEqual(expect.arrayContaining(['s3', 'filesystem']));
    expect(explain('destination.bucket').only).toContain('s3');
    expect(explain('destination.bucket').only).not.toContain('filesystem');
    expect(explain('destination.locked').only).toBeUndefined();
  });

  test('every field of every kind has words, a type, and examples that are what they say', () => {
    const paths = everyPath();
    expect(paths.length).toBeGreaterThan(80);
    for (const path of paths) {
      const { description, type, examples } = explain(path);
      expect(description, path).not.toBe('');
      expect(type, path).toMatch(/^(text|whole number|true or false|mapping|list of .+)( or .+)?$/);
      expect(examples, path).not.toEqual([]);
      for (const example of examples) expect(parse(exampleYaml('x', example)), path).toEqual({ x: example });
    }
  });

  test('what it says stands in the schema', () => {
    const file = new URL('../../schemas/policy.schema.json', import.meta.url);
    const schema = JSON.parse(readFileSync(file, 'utf8'));
    const names = Object.keys(schema.properties.spec.properties);
    expect(explain('policy.spec').fields.map(({ name }) => name)).toEqual(names);
  });

  test.each([40, 60, 80, 120])('fits %i columns', (width) => {
    for (const path of everyPath()) {
      const shown = (each: Explanation) => explanationText({ ...each, yaml: [] }, { width, color: true });
      const lines = stripVTControlCharacters(shown(explain(path))).split('\n');
      // A word that is longer than the line stands alone: only a path can be.
      const tooLong = lines.filter((line) => line.length > width && line.trim().includes(' '));
      expect(tooLong, path).toEqual([]);
    }
  });

  test.each([
    ['polici', ['`polici`'], 'did you mean `policy`?'],
    ['bananas', ['`bananas`'], 'there are seed, destination'],
    ['policy.keep.dayly', ['policy.spec.keep', '`dayly`'], 'did you mean `policy.spec.keep.daily`?'],
    ['policy.shedule', ['`shedule`'], 'did you mean `policy.schedule`?'],
    ['policy.keep.bananas', ['`bananas`'], 'its fields are last, hourly'],
    ['policy.keep.daily.x', ['`x`'], 'policy.spec.keep.daily has no fields'],
    ['policy.', ['has no field'], 'its fields are'],
    ['', ['no kind'], 'there are seed'],
    ['policy.constructor', ['`constructor`'], 'its fields are'],
    ['constructor', ['`constructor`'], 'there are seed'],
  ])('%j is a mistake with a way out', async (path, says, hint) => {
    await expectFailure(['explain', path], { code: 'usage', says, hint });
  });
});
