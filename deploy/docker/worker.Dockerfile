# worker: cgo with Debian's FFmpeg, and ONNX Runtime for the CPU from its npm package. The image has the program, the
# shared libraries that it is linked to, the default model, CA certificates and a user; Debian's package of FFmpeg alone
# installs several times as much. cloud-api.Dockerfile says why the bases are arguments.
ARG GO_BASE=golang:1.26-bookworm
ARG NODE_BASE=node:20-bookworm-slim
ARG DEBIAN_BASE=debian:bookworm-slim

FROM ${NODE_BASE} AS onnxruntime
WORKDIR /ort
COPY deploy/setup/onnxruntime/package.json deploy/setup/onnxruntime/package-lock.json deploy/setup/onnxruntime/.npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund && \
    case "$(uname -m)" in aarch64) a=arm64 ;; *) a=x64 ;; esac && \
    cp node_modules/onnxruntime-node/bin/napi-v*/linux/$a/libonnxruntime.so.1 /

FROM ${GO_BASE} AS build
# The toolchain line of go.mod names the Go version.
ENV GOTOOLCHAIN=auto GOFLAGS=-buildvcs=false
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
RUN apt-get update && apt-get install -y --no-install-recommends \
      libavformat-dev libavcodec-dev libavutil-dev libswscale-dev libseccomp-dev pkg-config && rm -rf /var/lib/apt/lists/*
COPY shared/ shared/
COPY cloud/ cloud/
ARG VERSION=dev
RUN go build -trimpath -ldflags "-s -w -X cattlecounter/shared/version.number=$VERSION" -o /out/worker ./cloud/cmd/worker

COPY deploy/packaging/sbom/ deploy/packaging/sbom/
RUN CGO_ENABLED=0 go build -trimpath -o /out/sbom ./deploy/packaging/sbom/cmd/sbom

FROM ${DEBIAN_BASE} AS files
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates \
      libavformat59 libavcodec59 libavutil57 libswscale6 libseccomp2 libstdc++6 && rm -rf /var/lib/apt/lists/*
COPY deploy/docker/rootfs.sh /
COPY --from=onnxruntime /libonnxruntime.so.1 /usr/local/lib/
COPY --from=build /out/worker /usr/local/bin/
RUN sh /rootfs.sh /rootfs data -- /usr/local/bin/worker /usr/local/lib/libonnxruntime.so.1
COPY --from=build /out/sbom /out/
COPY deploy/setup/onnxruntime/package-lock.json /ort/
ARG VERSION=dev
RUN mkdir -p /rootfs/usr/share/doc/cattlecounter && /out/sbom image --name worker --version "$VERSION" --root /rootfs \
      --npm /ort/package-lock.json=onnxruntime-node /usr/local/bin/worker >/rootfs/usr/share/doc/cattlecounter/sbom.cdx.json

FROM scratch
COPY --from=files /rootfs/ /
COPY --from=files --chown=10001:10001 /rootfs/data/ /data/
COPY --from=onnxruntime /libonnxruntime.so.1 /usr/local/lib/
COPY cloud/model/default /usr/local/share/cattlecounter/model
COPY --from=build /out/worker /usr/local/bin/worker
COPY NOTICE /usr/share/doc/cattlecounter/
USER 10001:10001
VOLUME /data
# The image contains the default model; `worker model pull` stores other models in /data/models.
ENV PATH=/usr/local/bin CATTLE_CLOUD_DATA=/data ONNXRUNTIME_LIB=/usr/local/lib/libonnxruntime.so.1 \
    CATTLE_CLOUD_WORKER_HEARTBEAT=/tmp/worker.heartbeat
HEALTHCHECK --interval=30s --timeout=10s --start-period=2m --retries=3 CMD ["worker", "probe"]
ENTRYPOINT ["worker"]
CMD ["run"]
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="CattleCounter worker" \
      org.opencontainers.image.description="Counts cattle in drone footage" \
      org.opencontainers.image.version="$VERSION" org.opencontainers.image.revision="$REVISION" \
      cattlecounter.sbom="/usr/share/doc/cattlecounter/sbom.cdx.json"
