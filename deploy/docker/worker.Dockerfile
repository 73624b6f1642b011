# worker: cgo with Debian's FFmpeg, and ONNX Runtime for the CPU from its npm package.
FROM node:20-bookworm-slim AS onnxruntime
WORKDIR /ort
COPY deploy/setup/onnxruntime/package.json deploy/setup/onnxruntime/package-lock.json deploy/setup/onnxruntime/.npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund && \
    case "$(uname -m)" in aarch64) a=arm64 ;; *) a=x64 ;; esac && \
    cp node_modules/onnxruntime-node/bin/napi-v*/linux/$a/libonnxruntime.so.1 /

FROM golang:1.26-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
      libavformat-dev libavcodec-dev libavutil-dev libswscale-dev libseccomp-dev pkg-config && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY shared/ shared/
COPY cloud/ cloud/
RUN go build -trimpath -o /out/worker ./cloud/cmd/worker

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
      libavformat59 libavcodec59 libavutil57 libswscale6 libseccomp2 && \
    rm -rf /var/lib/apt/lists/* && useradd --system --uid 10001 cattle && install -d -o cattle /data
COPY --from=onnxruntime /libonnxruntime.so.1 /usr/local/lib/
COPY --from=build /out/worker /usr/local/bin/
COPY cloud/model/default /usr/local/share/cattlecounter/model
USER cattle
VOLUME /data
# The image contains the default model; `worker model pull` stores other models in /data/models.
ENV CATTLE_CLOUD_DATA=/data ONNXRUNTIME_LIB=/usr/local/lib/libonnxruntime.so.1
ENTRYPOINT ["worker"]
CMD ["run"]
