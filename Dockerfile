# Builds dist/, the program with its libraries, then keeps only Node, dist/ and the one native package.
ARG NODE=26

FROM node:${NODE}-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# Node is in the image already: the package that brings it is for machines with an older one.
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY schemas ./schemas
COPY build ./build
COPY src ./src
# What `granary --version` says: the image is built without Git.
ARG GRANARY_COMMIT=
RUN GRANARY_COMMIT=$GRANARY_COMMIT npm run build && npm prune --omit=dev --ignore-scripts

FROM node:${NODE}-bookworm-slim
LABEL org.opencontainers.image.title="Granary" \
      org.opencontainers.image.description="GitOps for etcd backups" \
      org.opencontainers.image.licenses="Apache-2.0"
ARG GRANARY_COMMIT
LABEL org.opencontainers.image.revision=${GRANARY_COMMIT}
# The agent pulls its configuration with git, over https or ssh.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git openssh-client ca-certificates \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/granary
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/schemas ./schemas
# What `granary init` writes for GitHub.
COPY examples/ci/github.yaml ./examples/ci/
COPY --from=build /build/dist ./dist
# By number: Kubernetes cannot tell whether a name is root. Nothing is written outside of --state and TMPDIR, so the root
# file system can be read-only.
USER 65532:65532
EXPOSE 9595
# Of an agent on its usual port, without TLS. No shell and no curl is needed.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=4 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9595/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Memory before speed, as `granary` of the package has it: less is kept for later.
ENV MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072
ENTRYPOINT ["node", "--max-semi-space-size=4", "--no-sparkplug", "/opt/granary/dist/cli/main.js"]
CMD ["agent", "--help"]
