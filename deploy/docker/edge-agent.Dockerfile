# edge-agent: pure Go, to try it beside the cloud. A station runs the program without a container. The image has nothing
# but the program, CA certificates and a user. cloud-api.Dockerfile says why the bases are arguments.
ARG GO_BASE=golang:1.26-bookworm
ARG DEBIAN_BASE=debian:bookworm-slim

FROM ${GO_BASE} AS build
# The toolchain line of go.mod names the Go version.
ENV GOTOOLCHAIN=auto GOFLAGS=-buildvcs=false
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY shared/ shared/
COPY edge/ edge/
ARG VERSION=dev
ARG COMMITTED=
RUN CGO_ENABLED=0 go build -trimpath -o /out/edge-agent -ldflags \
      "-s -w -X cattlecounter/shared/version.number=$VERSION -X cattlecounter/edge/clock.committed=$COMMITTED" \
      ./edge/cmd/edge-agent

COPY deploy/packaging/sbom/ deploy/packaging/sbom/
RUN CGO_ENABLED=0 go build -trimpath -o /out/sbom ./deploy/packaging/sbom/cmd/sbom

FROM ${DEBIAN_BASE} AS files
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY deploy/docker/rootfs.sh /
RUN sh /rootfs.sh /rootfs spool card
COPY --from=build /out/ /out/
ARG VERSION=dev
RUN mkdir -p /rootfs/usr/share/doc/cattlecounter && /out/sbom image --name edge-agent --version "$VERSION" --root /rootfs \
      /out/edge-agent >/rootfs/usr/share/doc/cattlecounter/sbom.cdx.json

FROM scratch
COPY --from=files /rootfs/ /
COPY --from=files --chown=10001:10001 /rootfs/spool/ /spool/
COPY --from=files --chown=10001:10001 /rootfs/card/ /card/
COPY --from=build /out/edge-agent /usr/local/bin/edge-agent
COPY NOTICE /usr/share/doc/cattlecounter/
USER 10001:10001
VOLUME /spool
ENV PATH=/usr/local/bin CATTLE_EDGE_SPOOL_DIR=/spool CATTLE_EDGE_WATCH_FOLDERS=/card
HEALTHCHECK --interval=30s --timeout=10s --start-period=5m --retries=3 CMD ["edge-agent", "probe"]
ENTRYPOINT ["edge-agent"]
CMD ["run"]
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="CattleCounter edge-agent" \
      org.opencontainers.image.description="Buffers drone footage at a station and uploads it" \
      org.opencontainers.image.version="$VERSION" org.opencontainers.image.revision="$REVISION" \
      cattlecounter.sbom="/usr/share/doc/cattlecounter/sbom.cdx.json"
