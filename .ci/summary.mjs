// Prints `N passed, N failed, N skipped` from vitest's JSON report and the names of the CI steps that failed:
// node .ci/summary.mjs REPORT [STEP…]. Exit code 1 where anything failed. No packages: it also runs where npm ci failed.
import { readFileSync } from 'node:fs';

const [reportFile = '', ...steps] = process.argv.slice(2);
const counts = { passed: 0, failed: 0, skipped: 0 };

const report = readReport();
for (const file of report?.testResults ?? []) {
  for (const test of file.assertionResults) {
    if (test.status === 'passed') counts.passed++;
    else if (test.status === 'failed') counts.failed++;
    else counts.skipped++;
  }
  // A file that could not be loaded holds no tests, and a hook may fail where every test passed.
  const named = file.assertionResults.some((test) => test.status === 'failed');
  if (file.status === 'failed' && !named) counts.failed++;
}
// The step `tests` is told by its tests, unless it failed without one: no report, or an error outside of any test.
const testsTold = counts.failed > 0;
counts.failed += steps.filter((step) => step !== 'tests' || !testsTold).length;
if (report === undefined && counts.failed === 0) counts.failed = 1;

console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed === 0 ? 0 : 1;

function readReport() {
  try {
    return JSON.parse(readFileSync(reportFile, 'utf8'));
  } catch {
    return undefined;
  }
}
