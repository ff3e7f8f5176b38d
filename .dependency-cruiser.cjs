const { Visitor } = loadVisitor();

// The visitor of @swc/core knows no `using` and stops at it; it declares variables as `const` does.
const visitStatement = Visitor.prototype.visitStatement;
Visitor.prototype.visitStatement = function (statement) {
  if (statement.type !== 'UsingDeclaration') return visitStatement.call(this, statement);
  this.visitVariableDeclarators(statement.decls);
  return statement;
};

function loadVisitor() {
  const loaded = require('@swc/core/Visitor.js');
  return { Visitor: loaded.Visitor ?? loaded.default ?? loaded };
}

// Imports point down this list only (design, section 10). Each layer may import those after it, and nothing before.
const layers = [
  'cli',
  'agent',
  'execute',
  'backup',
  'catalog',
  'bolt',
  'etcd',
  'store',
  'git',
  'secrets',
  'config',
  'report',
  'plan',
  'model',
];

const upward = layers.slice(1).map((layer, index) => ({
  name: `${layer}-imports-upward`,
  comment: `src/${layer} may import only what stands below it in design section 10`,
  severity: 'error',
  from: { path: `^src/${layer}/` },
  to: { path: `^src/(${layers.slice(0, index + 1).join('|')})/` },
}));

module.exports = {
  forbidden: [
    ...upward,
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'plan-is-pure',
      comment: 'src/plan and src/model do no I/O: no module of Node, and no package but croner',
      severity: 'error',
      from: { path: '^src/(plan|model)/' },
      to: { dependencyTypes: ['core', 'npm', 'npm-dev'], pathNot: 'node_modules/croner/' },
    },
    {
      name: 'no-test-in-src',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench)/' },
    },
    ...[
      ['simple-git', 'git'],
      ['@aws-sdk', 'store/drivers/s3'],
      ['@smithy', 'store/drivers/s3'],
      ['google-auth-library', 'store/drivers/gcs'],
      ['@grpc', 'etcd'],
      ['sops-age', 'secrets'],
      ['age-encryption', '(secrets|backup)'],
      ['yaml', '(config|secrets)'],
      ['ignore', 'config'],
      ['@google-cloud', 'store/drivers/gcs'],
      ['@azure', 'store/drivers/azure'],
      ['ajv', 'config'],
      ['fastify', 'agent'],
      ['pino', 'agent'],
      ['prom-client', 'agent'],
      ['croner', 'plan'],
      ['commander', 'cli'],
      ['@node-rs', '(bolt|store|backup)'],
    ].map(([name, home]) => ({
      name: `${name.replace(/[^a-z0-9]/g, '')}-has-one-home`,
      comment: `the package ${name} is imported in src/${home} only`,
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/${home}` },
      to: { path: `node_modules/${name}` },
    })),
    {
      name: 'not-to-unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    // TypeScript 7 has no compiler API to read with: without swc dependency-cruiser sees nothing and reports nothing.
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
