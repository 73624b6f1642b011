# cloud-api: pure Go, needs no library. It is also the broker (command "broker"). The image has nothing but the program,
# CA certificates and a user.
#
# The bases are arguments: build.sh resolves them to digests where a registry is reached, builds on exactly these and
# writes them into build/images/bases.txt. A digest that was never fetched and compared is not written here.
ARG GO_BASE=golang:1.26-bookworm
ARG NODE_BASE=node:20-bookworm-slim
ARG DEBIAN_BASE=debian:bookworm-slim

FROM ${NODE_BASE} AS page
WORKDIR /src/cloud/server/dashboard
COPY cloud/server/dashboard/package.json cloud/server/dashboard/package-lock.json cloud/server/dashboard/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY cloud/server/dashboard/ ./
RUN npm run build

FROM ${GO_BASE} AS build
# The toolchain line of go.mod names the Go version.
ENV GOTOOLCHAIN=auto GOFLAGS=-buildvcs=false
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY shared/ shared/
COPY cloud/ cloud/
COPY --from=page /src/cloud/server/dashboard/dist/ cloud/server/dashboard/dist/
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X cattlecounter/shared/version.number=$VERSION" \
      -o /out/cloud-api ./cloud/cmd/cloud-api

COPY deploy/packaging/sbom/ deploy/packaging/sbom/
RUN CGO_ENABLED=0 go build -trimpath -o /out/sbom ./deploy/packaging/sbom/cmd/sbom

FROM ${DEBIAN_BASE} AS files
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY deploy/docker/rootfs.sh /
RUN sh /rootfs.sh /rootfs data station
COPY --from=build /out/ /out/
COPY --from=page /src/cloud/server/dashboard/package-lock.json /page/
ARG VERSION=dev
RUN mkdir -p /rootfs/usr/share/doc/cattlecounter && /out/sbom image --name cloud-api --version "$VERSION" --root /rootfs \
      --npm /page/package-lock.json=maplibre-gl,preact,tus-js-client,uplot /out/cloud-api >/rootfs/usr/share/doc/cattlecounter/sbom.cdx.json

FROM scratch
COPY --from=files /rootfs/ /
COPY --from=files --chown=10001:10001 /rootfs/data/ /data/
COPY --from=files --chown=10001:10001 /rootfs/station/ /station/
COPY --from=build /out/cloud-api /usr/local/bin/cloud-api
COPY NOTICE /usr/share/doc/cattlecounter/
USER 10001:10001
VOLUME /data
ENV PATH=/usr/local/bin CATTLE_CLOUD_DATA=/data CATTLE_CLOUD_HTTP_LISTEN=0.0.0.0:8080
EXPOSE 8080 1883
HEALTHCHECK --interval=30s --timeout=10s --start-period=1m --retries=3 CMD ["cloud-api", "probe"]
ENTRYPOINT ["cloud-api"]
CMD ["serve"]
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="CattleCounter cloud-api" \
      org.opencontainers.image.description="Receives drone footage, serves the page and the API" \
      org.opencontainers.image.version="$VERSION" org.opencontainers.image.revision="$REVISION" \
      cattlecounter.sbom="/usr/share/doc/cattlecounter/sbom.cdx.json"
