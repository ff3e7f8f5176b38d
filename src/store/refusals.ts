import { isGranaryError } from '../model/errors.ts';

/** How S3 servers answer that do not know the header of a condition at all; the same request without it tells whether it is that. */
export function refusesConditions(error: unknown): boolean {
  return (
    isGranaryError(error, 'store-misconfigured') &&
    ['NotImplemented', 'InvalidArgument', 'InvalidRequest'].includes(String(error.context.reason))
  );
}
