# edge-agent: pure Go, to try it beside the cloud. A station runs the program without a container.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY shared/ shared/
COPY edge/ edge/
RUN CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /out/edge-agent ./edge/cmd/edge-agent

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* && \
    useradd --system --uid 10001 cattle && install -d -o cattle /spool /card
COPY --from=build /out/edge-agent /usr/local/bin/
USER cattle
VOLUME /spool
ENV CATTLE_EDGE_SPOOL_DIR=/spool CATTLE_EDGE_WATCH_FOLDERS=/card
ENTRYPOINT ["edge-agent"]
CMD ["run"]
