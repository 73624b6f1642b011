# cloud-api: pure Go, needs no library. It is also the broker (command "broker").
FROM node:20-bookworm-slim AS page
WORKDIR /src/cloud/server/dashboard
COPY cloud/server/dashboard/package.json cloud/server/dashboard/package-lock.json cloud/server/dashboard/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY cloud/server/dashboard/ ./
RUN npm run build

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY shared/ shared/
COPY cloud/ cloud/
COPY --from=page /src/cloud/server/dashboard/dist/ cloud/server/dashboard/dist/
RUN CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /out/cloud-api ./cloud/cmd/cloud-api

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 cattle && install -d -o cattle /data
COPY --from=build /out/cloud-api /usr/local/bin/
USER cattle
VOLUME /data
ENV CATTLE_CLOUD_DATA=/data CATTLE_CLOUD_HTTP_LISTEN=0.0.0.0:8080
EXPOSE 8080 1883
ENTRYPOINT ["cloud-api"]
CMD ["serve"]
