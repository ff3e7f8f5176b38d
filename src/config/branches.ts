/** Which of several alternatives of a schema somebody meant. */
import type { SchemaError } from './schemas.ts';

/** Faults within alternatives: those of the branch that was meant, or one for the whole where none is near. */
export function meantBranches(errors: readonly SchemaError[]): readonly SchemaError[] {
  const choices = errors.filter(({ keyword }) => keyword === 'anyOf');
  if (choices.length === 0) return errors;
  const dropped = new Set<SchemaError>();
  for (const choice of choices) {
    const within = errors.filter((error) => error !== choice && isBelow(error, choice));
    // A branch whose type does not fit was not meant. Each branch here has a type of its own.
    const near = within.filter((error) => !(error.keyword === 'type' && error.pointer === choice.pointer));
    if (near.length === 0) for (const error of within) dropped.add(error);
    else {
      dropped.add(choice);
      for (const error of within) if (!near.includes(error)) dropped.add(error);
    }
  }
  return errors.filter((error) => !dropped.has(error));
}

function isBelow(error: SchemaError, choice: SchemaError): boolean {
  return error.pointer === choice.pointer || error.pointer.startsWith(`${choice.pointer}/`);
}
