/** How the clusters of a seed are reached. */
import type { ClusterTls } from '../../model/config.ts';
import type { Rule } from './context.ts';
import { etcdsOf } from './etcds.ts';
import { endpointProblem } from './urls.ts';

export const etcdEndpointsAreUrls: Rule = ({ seeds, report }) => {
  for (const { object, source } of seeds) {
    for (const { endpoints, pointer } of etcdsOf(object)) {
      endpoints.forEach((endpoint, at) => {
        const problem = endpointProblem(endpoint);
        if (problem === null) return;
        report(source, `${pointer}/endpoints/${at}`, {
          code: 'bad-endpoint',
          message: `the endpoint ${problem}`,
          hint: 'for example `https://10.0.0.1:2379`',
        });
      });
    }
  }
};

export const tlsIsConsistent: Rule = ({ seeds, report }) => {
  for (const { object, source } of seeds) {
    for (const { tls, endpoints, pointer: at } of etcdsOf(object)) {
      if (tls === null) continue;
      const pointer = `${at}/tls`;
      if (endpoints.some((endpoint) => endpoint.startsWith('http://'))) {
        report(source, pointer, {
          code: 'tls-without-https',
          place: 'key',
          message: '`tls` is given, and an endpoint is `http://`: that connection would not be protected',
          hint: 'write `https://`, or leave `tls` out',
        });
      }
      const problem = sourceProblem(tls);
      if (problem !== null) report(source, pointer, { code: 'tls-source', place: 'key', ...problem });
    }
  }
};

function sourceProblem({ credential, caFile, certFile, keyFile }: ClusterTls) {
  if (credential !== null && (caFile ?? certFile ?? keyFile) !== null) {
    return {
      message: '`tls` has both a credential and files',
      hint: 'use the credential, or caFile, certFile and keyFile',
    };
  }
  if ((certFile === null) === (keyFile === null)) return null;
  const [there, gone] = certFile === null ? ['keyFile', 'certFile'] : ['certFile', 'keyFile'];
  return { message: `\`tls.${there}\` is there without \`tls.${gone}\``, hint: 'give both or none' };
}
