# worker for NVIDIA GPUs: the same program, with the GPU build of ONNX Runtime and the
# CUDA 13 libraries (about 2.5 GB). The machine needs NVIDIA's driver and container toolkit:
#
#   docker build -f deploy/docker/worker-gpu.Dockerfile -t cattlecounter-worker-gpu .
#   docker run --gpus all -v data:/data cattlecounter-worker-gpu
#
# With --build-arg TENSORRT_INDEX=… (the address of NVIDIA's Python package index) the image also has TensorRT, which
# CATTLE_CLOUD_WORKER_PROVIDER=tensorrt uses.
FROM python:3.11-slim-bookworm AS libraries
ARG TENSORRT_INDEX=
COPY deploy/setup/gpu/ /gpu/
RUN TENSORRT_INDEX="$TENSORRT_INDEX" bash /gpu/libs.sh /lib-gpu

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
COPY --from=libraries /lib-gpu/ /usr/local/lib/gpu/
COPY --from=build /out/worker /usr/local/bin/
COPY cloud/model/default /usr/local/share/cattlecounter/model
USER cattle
VOLUME /data
ENV CATTLE_CLOUD_DATA=/data CATTLE_CLOUD_WORKER_PROVIDER=cuda \
    ONNXRUNTIME_LIB=/usr/local/lib/gpu/libonnxruntime.so.1 LD_LIBRARY_PATH=/usr/local/lib/gpu \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
ENTRYPOINT ["worker"]
CMD ["run"]
