/** Files and documents that are wrong by themselves. Marks say what is found and where. */
import { bucket, cluster, disk, document, type Files, policy, seed } from './support.ts';

export const documentCases: Readonly<Record<string, Files>> = {
  'a tab as indentation': { 'a.yaml': 'kind: Seed\nspec:\n⟦yaml-syntax⟧\tclusters: []\n' },
  'a quote that is not closed': { 'a.yaml': 'kind: "Seed\n⟦yaml-syntax⟧' },
  'a second mapping in a line': { 'a.yaml': 'kind: ⟦yaml-syntax⟧a: b: c\n' },
  'a tag that nobody knows': { 'a.yaml': 'kind: ⟦yaml-syntax⟧!seed x\n' },
  'a key that is a list': { 'a.yaml': '? ⟦yaml-syntax⟧[a, b]\n: c\n' },
  'one of several documents is broken, and the others are still checked': {
    'a.yaml': `${disk('a')}---\nkind: ⟦yaml-syntax⟧%\n---\n${disk('b', ', ⟦unknown-field⟧nope: 1')}`,
  },
  'duplicate keys, each at its place, and the rest is still checked': {
    'a.yaml':
      'apiVersion: granary.dev/v1\nkind: Destination\nmetadata: {name: a, ⟦yaml-duplicate-key⟧name: b}\nspec:\n  provider: filesystem\n  ⟦yaml-duplicate-key⟧provider: filesystem\n  path: ⟦bad-value⟧relative\n',
  },
  'anchors that unfold to too much': {
    'a.yaml':
      'a: &a [x, x, x, x, x, x, x, x]\nb: &b [⟦yaml-alias⟧*a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c]\n',
  },
  'an anchor within itself': { 'a.yaml': 'kind: Seed\nspec: &x\n  clusters: [⟦yaml-alias⟧*x]\n' },
  'an anchor that is not there': { 'a.yaml': 'kind: Seed\nspec: ⟦yaml-alias⟧*x\n' },
  'more references to anchors than anybody writes': {
    'a.yaml': `a: &a 1\nb: [${'*a,'.repeat(100)}⟦yaml-alias⟧*a]\n`,
  },
  'brackets within brackets': { 'a.yaml': `a: ${'['.repeat(64)}⟦yaml-too-deep⟧${'['.repeat(64)}` },
  'lists in a line': { 'a.yaml': `${'- '.repeat(64)}⟦yaml-too-deep⟧${'- '.repeat(64)}a\n` },
  'braces as keys of braces': { 'a.yaml': `${'{'.repeat(64)}⟦yaml-too-deep⟧${'{'.repeat(200_000)}` },
  'question marks': { 'a.yaml': `${'? '.repeat(64)}⟦yaml-too-deep⟧${'? '.repeat(200_000)}` },
  'lines further right than anybody indents': {
    'a.yaml': `a:\n⟦yaml-too-deep⟧${' '.repeat(300)}b: 1\n`,
  },
  'a document that is a list': { 'a.yaml': '⟦not-a-mapping⟧- a\n- b\n' },
  'a document that is a text': { 'a.yaml': '# comment\n⟦not-a-mapping⟧hello\n' },
  'a document without kind': { 'a.yaml': '⟦missing-field⟧apiVersion: v1\nname: x\n' },
  'a misspelt kind is not also a missing name': {
    'a.yaml': document('⟦unknown-kind⟧Sed', 'eu-west', '{clusters: []}'),
    'b.yaml': disk('disk', ', seeds: [eu-west]'),
  },
  'a kind that is a number': { 'a.yaml': 'kind: ⟦unknown-kind⟧5\n' },
  'a newer version': { 'a.yaml': disk('a').replace('granary.dev/v1', '⟦unknown-api-version⟧granary.dev/v9') },
  'no metadata': {
    'a.yaml': '⟦missing-field⟧apiVersion: granary.dev/v1\nkind: Repository\nspec: {}\n',
  },
  'an empty spec': {
    'a.yaml': 'apiVersion: granary.dev/v1\nkind: Seed\nmetadata: {name: a}\n⟦wrong-type⟧spec:\n',
  },
  'a name with capitals': { 'a.yaml': disk('disk').replace('{name: disk}', '{name: ⟦bad-value⟧Disk}') },
  'a misspelt field': { 'a.yaml': bucket('abc', ', ⟦unknown-field⟧regoin: x') },
  'a misspelt field that is needed is one mistake': {
    'a.yaml': document('Destination', 'a', '{provider: s3, ⟦unknown-field⟧buckett: abc}'),
  },
  'a field of another provider': { 'a.yaml': disk('disk', ', ⟦unknown-field⟧bucket: abc') },
  'a field of the spec beside it': { 'a.yaml': `${disk('disk')}⟦unknown-field⟧path: /x\n` },
  'a merge key': { 'a.yaml': disk('disk', ', ⟦unknown-field⟧<<: {locked: true}') },
  'prototype names': {
    'a.yaml': disk('disk', ', ⟦unknown-field⟧__proto__: {locked: true}, ⟦unknown-field⟧constructor: 1'),
  },
  'no provider': {
    'a.yaml': document('Destination', 'a', '{path: /x}').replace('spec', '⟦missing-field⟧spec'),
  },
  'an unknown provider': { 'a.yaml': document('Destination', 'a', '{provider: ⟦unknown-value⟧s4}') },
  'a provider that is a list': { 'a.yaml': document('Destination', 'a', '{provider: ⟦wrong-type⟧[s3]}') },
  'missing fields of one branch only': {
    'a.yaml': document('Destination', 'a', '{provider: s3}').replace('spec', '⟦missing-field⟧spec'),
  },
  'two missing fields are two faults': {
    'a.yaml': document('Policy', 'p', '{clusters: {}}').replace('spec', '⟦missing-field⟧⟦missing-field⟧spec'),
  },
  'a missing field in an item of a list': {
    'a.yaml': seed('a', '\n  clusters:\n    - ⟦missing-field⟧name: prod-a'),
  },
  'types that do not fit': {
    'a.yaml': seed(
      'eu-west',
      '{enabled: ⟦wrong-type⟧"yes", displayName: ⟦wrong-type⟧7, clusters: [⟦wrong-type⟧5, {name: a, endpoints: ⟦wrong-type⟧https://x}]}',
    ),
  },
  'labels that are no texts': {
    'a.yaml': seed('a', `{clusters: [${cluster('a', ', labels: {env: ⟦wrong-type⟧1, ⟦bad-value⟧-x: y}')}]}`),
  },
  'alternatives: neither a name nor a mapping': {
    'seed.yaml': seed('eu-west'),
    'a.yaml': policy('p').replace('[disk]', '[⟦wrong-type⟧7]'),
  },
  'alternatives: the faults of the branch that was meant': {
    'seed.yaml': seed('eu-west'),
    'a.yaml': policy('p').replace(
      '[disk]',
      '[disk, {name: disk2, ⟦unknown-field⟧keeep: {last: 1}}, {name: disk3, keep: {last: ⟦bad-value⟧-1, daily: ⟦wrong-type⟧x}}, ⟦bad-value⟧Disk]',
    ),
    'b.yaml': `${disk('disk')}---\n${disk('disk2')}---\n${disk('disk3')}`,
  },
  'values out of their words': {
    'seed.yaml': seed('eu-west'),
    'a.yaml': document(
      'Policy',
      'p',
      '{clusters: {}, schedule: {cron: "0 * * * *", jitter: ⟦bad-value⟧2min}, keep: {last: ⟦wrong-type⟧1.5, within: ⟦wrong-type⟧48}, grace: ⟦bad-value⟧-1h, maxDatabaseSize: ⟦bad-value⟧8GB, minimumCopies: ⟦bad-value⟧0, compression: {algorithm: ⟦unknown-value⟧gzip, level: ⟦bad-value⟧20}, verify: {hashKV: ⟦unknown-value⟧requre}, member: {prefer: ⟦unknown-value⟧any2}}',
    ),
  },
  'prefixes with slashes and dots': {
    'a.yaml': [
      bucket('aaa', ', prefix: ⟦bad-value⟧/x'),
      bucket('bbb', ', prefix: ⟦bad-value⟧x/'),
      bucket('ccc', ', prefix: ⟦bad-value⟧a//b'),
      bucket('ddd', ', prefix: ⟦bad-value⟧a/../b'),
      bucket('eee', ', prefix: a.b/..c/d'),
    ].join('---\n'),
  },
  'empty and repeated lists': {
    'a.yaml': disk('a', ', seeds: ⟦bad-value⟧[]'),
    'b.yaml': disk('b', ', seeds: [eu-west, ⟦duplicate-item⟧eu-west]'),
    'seed.yaml': seed('eu-west', `{defaultDestination: a, clusters: []}`),
  },
  'a Repository with a bad id and share': {
    'a.yaml': document(
      'Repository',
      'r',
      '{id: ⟦bad-value⟧abc, removal: {maxShare: ⟦bad-value⟧120%, maxPerRun: ⟦bad-value⟧-1}}',
    ),
  },
};
