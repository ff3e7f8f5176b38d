/** Names that must be unique or free. */
import type { Position } from '../../model/config.ts';
import { reservedPolicyNames } from '../../model/names.ts';
import { childPointer } from '../pointer.ts';
import { quoted } from '../words.ts';
import type { Rule } from './context.ts';

/** A name stands for one object of its kind. */
export const namesAreUnique: Rule = ({ sources, report }) => {
  const first = new Map<string, Position>();
  for (const source of sources) {
    // A second Repository is a fault whatever its name is.
    if (source.name === null || source.kind === 'Repository') continue;
    const id = `${source.kind}/${source.name}`;
    const other = first.get(id);
    if (other === undefined) first.set(id, source.locate('/metadata/name', 'value'));
    else {
      report(source, '/metadata/name', {
        code: 'duplicate-name',
        message: `there is another ${source.kind} named ${quoted(source.name)}`,
        hint: `it is in ${other.file}:${other.line}`,
      });
    }
  }
};

export const clusterNamesAreUnique: Rule = ({ seeds, report }) => {
  for (const { object, source } of seeds) {
    const first = new Map<string, Position>();
    object.clusters.forEach(({ name, position }, index) => {
      const other = first.get(name);
      if (other === undefined) first.set(name, position);
      else {
        report(source, childPointer('/spec/clusters', index, 'name'), {
          code: 'duplicate-cluster',
          message: `the seed has another cluster named ${quoted(name)}`,
          hint: `it is in ${other.file}:${other.line}`,
        });
      }
    });
  }
};

/** Names that the object layout needs for itself (design, section 3). */
export const policyNamesAreFree: Rule = ({ policies, report }) => {
  for (const { object, source } of policies) {
    if (!reservedPolicyNames.includes(object.name)) continue;
    report(source, '/metadata/name', {
      code: 'reserved-name',
      message: `${quoted(object.name)} is reserved and cannot be the name of a policy`,
      hint: 'choose another name',
    });
  }
};

export const oneRepository: Rule = ({ sources, report }) => {
  const [first, ...more] = sources.filter(({ kind }) => kind === 'Repository');
  if (first === undefined) return;
  const { file, line } = first.locate('', 'value');
  for (const source of more) {
    report(source, '/kind', {
      code: 'second-repository',
      message: 'there is another Repository; at most one is allowed',
      hint: `it is in ${file}:${line}`,
    });
  }
};
