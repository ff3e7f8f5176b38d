/**
 * The schemas as functions, each made on first use. The one home of ajv. The built program has the functions themselves in
 * place of this file (`build/validators.ts`), and no ajv.
 */
import { Ajv2020, type CodeOptions, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { readSchema } from './schema-files.ts';

const validators = new Map<string, ValidateFunction>();
const compilers = new Map<boolean, Ajv2020>();
/** What people write: they are told all that is wrong with it. What lies in a bucket may be made to be wrong in millions of ways. */
const ofPeople = ['seed', 'destination', 'credential', 'policy', 'repository'];

/**
 * The function that checks a value by `schemas/<name>.schema.json`. It finds all faults of what people write, and the first
 * of anything else.
 */
export function validatorOf(name: string): ValidateFunction {
  const known = validators.get(name);
  if (known !== undefined) return known;
  const allErrors = ofPeople.includes(name);
  const compiler = compilers.get(allErrors) ?? compilerFor(name);
  compilers.set(allErrors, compiler);
  const validator = compiler.compile(readSchema(name));
  validators.set(name, validator);
  return validator;
}

/** @param name of the schema that it is for */
export function compilerFor(name: string, code?: CodeOptions): Ajv2020 {
  const ajv = new Ajv2020({
    allErrors: ofPeople.includes(name),
    verbose: true,
    discriminator: true,
    strict: true,
    allowUnionTypes: true,
    // These two took half of the time to compile. A test holds the schemas against their own schema, once for all.
    validateSchema: false,
    code: { optimize: false, ...code },
  });
  formats.default(ajv);
  ajv.addVocabulary(['x-what']);
  return ajv;
}
