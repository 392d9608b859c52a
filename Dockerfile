# Container images. Each is a build target: customers, orders, orchestrator, db, and edge (the edge proxy).
#
# An image contains only the program, its shared libraries and CA certificates, without a shell or package manager, and
# runs as an unprivileged user. The libraries are copied from the build image.

FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends rsync \
    && rm -rf /var/lib/apt/lists/*
COPY . /context
# The sources are also cached between builds. Cargo compares modification times, but files in another working copy may
# be older than the last build. Therefore, `rsync --checksum` updates a file and its modification time only if the
# content differs.
RUN --mount=type=cache,id=backoffice-build,target=/build,sharing=locked \
    --mount=type=cache,id=backoffice-registry,target=/usr/local/cargo/registry,sharing=locked \
    rsync --recursive --checksum --delete --exclude=/target /context/ /build/ \
    && cd /build \
    && cargo build --release --locked --bins -p customers -p orders -p orchestrator -p db-cli \
    && install -D --target-directory=/programs \
        target/release/customers target/release/orders target/release/orchestrator target/release/db
RUN mkdir /needed \
    && ldd /programs/* | grep --only-matching '/lib[^ ]*' | sort --unique \
        | xargs cp --parents --dereference --target-directory=/needed \
    && cp --parents --dereference --target-directory=/needed /etc/ssl/certs/ca-certificates.crt

FROM scratch AS base
COPY --from=build /needed /
USER 65532:65532

FROM base AS db
COPY --from=build /programs/db /db
ENTRYPOINT ["/db"]

FROM base AS server
ENV HOST=0.0.0.0

FROM server AS customers
COPY --from=build /programs/customers /customers
EXPOSE 3001
HEALTHCHECK --interval=2s --timeout=5s --start-period=30s CMD ["/customers", "--health"]
ENTRYPOINT ["/customers"]

FROM server AS orders
COPY --from=build /programs/orders /orders
EXPOSE 3002
HEALTHCHECK --interval=2s --timeout=5s --start-period=30s CMD ["/orders", "--health"]
ENTRYPOINT ["/orders"]

FROM server AS orchestrator
COPY --from=build /programs/orchestrator /orchestrator
EXPOSE 3003
HEALTHCHECK --interval=2s --timeout=5s --start-period=30s CMD ["/orchestrator", "--health"]
ENTRYPOINT ["/orchestrator"]

# Debian's HAProxy package. The image of the edge proxy is healthy if the orchestrator responds through it, which requires
# that it is ready.
FROM debian:bookworm-slim AS haproxy
RUN apt-get update \
    && apt-get install --yes --no-install-recommends haproxy \
    && rm -rf /var/lib/apt/lists/*
RUN mkdir /needed \
    && ldd /usr/sbin/haproxy | grep --only-matching '/lib[^ ]*' | sort --unique \
        | xargs cp --parents --dereference --target-directory=/needed

FROM base AS edge
COPY --from=haproxy /needed /
COPY --from=haproxy /usr/sbin/haproxy /haproxy
COPY --from=build /programs/orchestrator /orchestrator
COPY deploy/haproxy.cfg /haproxy.cfg
ENV PORT=3003
EXPOSE 3001 3002 3003
HEALTHCHECK --interval=2s --timeout=5s --start-period=30s CMD ["/orchestrator", "--health"]
# On SIGTERM, HAProxy aborts requests in flight; on SIGUSR1, it completes them before it exits.
STOPSIGNAL SIGUSR1
ENTRYPOINT ["/haproxy", "-db", "-f", "/haproxy.cfg"]
