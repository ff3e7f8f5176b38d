/** How keys and values are read and shown. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { indentJson } from '../../src/cli/json-indent.ts';
import { keyText, valueJson, valueText } from '../../src/cli/key-words.ts';
import { groupingPrefix, kindOf, parseKubernetesKey } from '../../src/model/kubernetes-key.ts';

describe('keys of Kubernetes', () => {
  test.each([
    ['/registry/pods/shop/web-1', 'Pod', 'shop', 'web-1', '/registry/pods/'],
    ['/registry/minions/node-1', 'Node', null, 'node-1', '/registry/minions/'],
    ['/registry/services/specs/shop/web', 'Service', 'shop', 'web', '/registry/services/specs/'],
    ['/registry/services/endpoints/shop/web', 'Endpoints', 'shop', 'web', '/registry/services/endpoints/'],
    ['/registry/clusterroles/system:node', 'ClusterRole', null, 'system:node', '/registry/clusterroles/'],
    ['/registry/masterleases/10.0.0.1', 'masterleases', null, '10.0.0.1', '/registry/masterleases/'],
    [
      '/registry/example.com/widgets/shop/w',
      'widgets.example.com',
      'shop',
      'w',
      '/registry/example.com/widgets/',
    ],
    ['/registry/example.com/pods/shop/p', 'pods.example.com', 'shop', 'p', '/registry/example.com/pods/'],
    [
      '/registry/apiregistration.k8s.io/apiservices/v1.',
      'APIService',
      null,
      'v1.',
      '/registry/apiregistration.k8s.io/apiservices/',
    ],
    ['/kubernetes.io/secrets/shop/db', 'Secret', 'shop', 'db', '/kubernetes.io/secrets/'],
    // A namespace with a dot cannot be; a name with dots can.
    ['/registry/configmaps/shop/a.b.c', 'ConfigMap', 'shop', 'a.b.c', '/registry/configmaps/'],
  ])('%s', (key, kind, namespace, name, prefix) => {
    const object = parseKubernetesKey(key);
    expect(object).toMatchObject({ namespace, name });
    expect(object && kindOf(object)).toBe(kind);
    expect(groupingPrefix(key)).toBe(prefix);
  });

  test.each([
    '/registry/',
    '/registry/health',
    '/registry//x',
    '/registry/a/b/c/d/e',
    '/app/pods/a/b',
    'registry/pods/a',
  ])('%s is none', (key) => expect(parseKubernetesKey(key)).toBeUndefined());

  test('every key begins with the prefix that it is counted by', () => {
    const part = fc.constantFrom('a', 'b.c', '', 'registry', 'pods', 'services', 'specs');
    fc.assert(
      fc.property(fc.array(part, { maxLength: 7 }), (parts) => {
        const key = parts.join('/');
        expect(key.startsWith(groupingPrefix(key))).toBe(true);
      }),
    );
    expect(groupingPrefix('/app/settings/colour')).toBe('/app/settings/');
    expect(groupingPrefix('app/settings')).toBe('app/');
    expect(groupingPrefix('plain')).toBe('');
  });
});

describe('values', () => {
  const protobuf = (...parts: (string | number[])[]) =>
    Buffer.concat([Buffer.from('k8s\0'), ...parts.map((part) => Buffer.from(part as string))]);

  test('in protobuf are named by apiVersion and kind, and not shown', () => {
    const value = protobuf([0x0a, 15, 0x0a, 7], 'apps/v1', [0x12, 4], 'Kind', [0x12, 6], 'SECRET');
    expect(valueText(value)).toBe('apiVersion: apps/v1\nkind: Kind\n# 29 bytes of Kubernetes protobuf');
    expect(valueJson(value)).toMatchObject({
      form: 'kubernetes-protobuf',
      apiVersion: 'apps/v1',
      kind: 'Kind',
    });
    for (const cut of [4, 5, 6, 8, 12]) expect(valueText(value.subarray(0, cut))).toContain('bytes');
  });

  test('that Kubernetes encrypted name provider and key, and nothing of them is shown', () => {
    const value = Buffer.concat([Buffer.from('k8s:enc:aesgcm:v1:key-2:'), Buffer.of(0xff, 1, 2)]);
    expect(valueText(value)).toBe('# 27 bytes, encrypted by Kubernetes: provider aesgcm, key key-2');
    expect(valueJson(value)).toEqual({
      ...{ form: 'kubernetes-encrypted', provider: 'aesgcm', keyName: 'key-2' },
      valueBase64: value.toString('base64'),
    });
  });

  test('of JSON are indented, and every number stays as it was written', () => {
    const json = '{"id":12345678901234567890,"a":[],"b":{},"c":[1.50,"x\\"}{,:"],"id":2}';
    expect(valueText(Buffer.from(json))).toBe(
      '{\n  "id": 12345678901234567890,\n  "a": [],\n  "b": {},\n  "c": [\n    1.50,\n    "x\\"}{,:"\n  ],\n  "id": 2\n}',
    );
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(indentJson(JSON.stringify(value))).toBe(JSON.stringify(value, null, 2));
      }),
    );
  });

  test('cannot move the cursor, forge a line, or be cut at a byte that is no text', () => {
    expect(valueText(Buffer.from('a\u001b[2Jb\r\n\tc'))).toBe('a\\x1b[2Jb\\x0d\n\tc');
    expect(valueText(Buffer.of(0xff, 0x41))).toBe('# 2 bytes that are no text');
    expect(valueJson(Buffer.of(0xff, 0x41))).toEqual({ form: 'binary', valueBase64: '/0E=' });
    expect(valueText(Buffer.from('{"a":"\u001b"'))).toBe('{"a":"\\x1b"');
    expect(keyText(Buffer.from('a\nb\u202e'))).toBe('a\\nb\\u202e');
    expect(keyText(Buffer.of(0x61, 0xff))).toBe('a\\xff');
  });
});
