/**
 * The schemas as functions, each made on first use. The one home of ajv. The built program has the functions themselves in
 * place of this file (`build/validators.ts`), and no ajv.
 */
import { Ajv2020, type CodeOptions, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { readSchema } from './schema-files.ts';

const validators = new Map<string, ValidateFunction>();
let compiler: Ajv2020 | undefined;

/** The function that checks a value by `schemas/<name>.schema.json`. */
export function validatorOf(name: string): ValidateFunction {
  const known = validators.get(name);
  if (known !== undefined) return known;
  compiler ??= newCompiler();
  const validator = compiler.compile(readSchema(name));
  validators.set(name, validator);
  return validator;
}

export function newCompiler(code?: CodeOptions): Ajv2020 {
  const ajv = new Ajv2020({
    allErrors: true,
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
