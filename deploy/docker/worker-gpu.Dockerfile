# worker for NVIDIA GPUs: the same program, with the GPU build of ONNX Runtime and the
# CUDA 13 libraries (about 2.5 GB). The machine needs NVIDIA's driver and container toolkit:
#
#   docker build -f deploy/docker/worker-gpu.Dockerfile -t cattlecounter/worker-gpu .
#   docker run --gpus all -v data:/data cattlecounter/worker-gpu
#
# With --build-arg TENSORRT_INDEX=… (the address of NVIDIA's Python package index) the image also has TensorRT, which
# CATTLE_CLOUD_WORKER_PROVIDER=tensorrt uses. It has Debian's files, because the container toolkit mounts the driver's
# libraries into them and runs ldconfig. cloud-api.Dockerfile says why the bases are arguments.
ARG GO_BASE=golang:1.26-bookworm
ARG PYTHON_BASE=python:3.11-slim-bookworm
ARG DEBIAN_BASE=debian:bookworm-slim

FROM ${PYTHON_BASE} AS libraries
ARG TENSORRT_INDEX=
COPY deploy/setup/gpu/ /gpu/
RUN TENSORRT_INDEX="$TENSORRT_INDEX" bash /gpu/libs.sh /lib-gpu

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

FROM ${DEBIAN_BASE} AS image
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates \
      libavformat59 libavcodec59 libavutil57 libswscale6 libseccomp2 && rm -rf /var/lib/apt/lists/* && \
    groupadd --system --gid 10001 cattle && useradd --system --uid 10001 --gid 10001 cattle && install -d -o 10001 -g 10001 /data
COPY --from=libraries /lib-gpu/ /usr/local/lib/gpu/
COPY --from=build /out/worker /usr/local/bin/
COPY cloud/model/default /usr/local/share/cattlecounter/model

FROM image AS list
COPY --from=build /out/sbom /out/
ARG VERSION=dev
RUN /out/sbom image --name worker-gpu --version "$VERSION" --root / --wheels /usr/local/lib/gpu/wheels.txt \
      /usr/local/bin/worker >/sbom.cdx.json

FROM image
COPY --from=list /sbom.cdx.json /usr/share/doc/cattlecounter/sbom.cdx.json
COPY NOTICE /usr/share/doc/cattlecounter/
USER 10001:10001
VOLUME /data
ENV CATTLE_CLOUD_DATA=/data CATTLE_CLOUD_WORKER_PROVIDER=cuda CATTLE_CLOUD_WORKER_HEARTBEAT=/tmp/worker.heartbeat \
    ONNXRUNTIME_LIB=/usr/local/lib/gpu/libonnxruntime.so.1 LD_LIBRARY_PATH=/usr/local/lib/gpu \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
HEALTHCHECK --interval=30s --timeout=10s --start-period=5m --retries=3 CMD ["worker", "probe"]
ENTRYPOINT ["worker"]
CMD ["run"]
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="CattleCounter worker for NVIDIA GPUs" \
      org.opencontainers.image.description="Counts cattle in drone footage" \
      org.opencontainers.image.version="$VERSION" org.opencontainers.image.revision="$REVISION" \
      cattlecounter.sbom="/usr/share/doc/cattlecounter/sbom.cdx.json"
