#!/usr/bin/env bash
# Makes sure that the images of others that docker-compose.yml names are there: standins.sh, called by profiles.sh. Where
# a registry is reached it pulls them. Where none is, it makes stand-ins under the same names out of packages of Debian
# and npm, often of an older version, and says so: they show that the profiles fit together, and are for tests on this
# machine only. Grafana and Jaeger are in no package.
set -euo pipefail
cd "$(dirname "$0")/../.."
say() { printf 'stand-ins: %s\n' "$*" >&2; }
export DOCKER_BUILDKIT=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# named SERVICE: the image of a service of docker-compose.yml.
named() { sed -n "s/^ *image: \(.*$1:[^ ]*\)$/\1/p" docker-compose.yml | head -n 1; }

# missing IMAGE: true if it is not here and no registry has it. build.sh has found out whether one is reached.
missing() {
	docker image inspect "$1" >/dev/null 2>&1 && return 1
	timeout 120 docker pull --quiet "$1" >"$dir/pull.log" 2>&1 && return 1
	say "making a STAND-IN for $1 ($(tail -n 1 "$dir/pull.log"))"
}

build() { # IMAGE FOLDER, with the Dockerfile as input
	docker build --quiet --tag "$1" --file - "$2" >"$dir/build.log" 2>&1 || { tail -n 20 "$dir/build.log" >&2; exit 1; }
}

if missing "$(named postgres)"; then
	mkdir "$dir/postgres"
	# What the published image does with these variables at its first start.
	cat >"$dir/postgres/start" <<-'SH'
		#!/bin/sh
		set -e
		export PGDATA=/var/lib/postgresql/data/pg
		as() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
		if [ ! -s "$PGDATA/PG_VERSION" ]; then
			install -d -o postgres -g postgres -m 0700 "$PGDATA" /run/password
			install -o postgres -m 0400 "$POSTGRES_PASSWORD_FILE" /run/password/text
			as initdb --encoding UTF8 --locale C.UTF-8 --username "$POSTGRES_USER" --pwfile /run/password/text --auth-local trust --auth-host scram-sha-256 >/dev/null
			echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
			echo "CREATE DATABASE $POSTGRES_DB" | as postgres --single -D "$PGDATA" postgres >/dev/null
		fi
		exec setpriv --reuid=postgres --regid=postgres --init-groups postgres -c listen_addresses='*'
	SH
	build "$(named postgres)" "$dir/postgres" <<-'DOCKERFILE'
		FROM debian:bookworm-slim
		RUN apt-get update && apt-get install -y --no-install-recommends postgresql-15 && rm -rf /var/lib/apt/lists/*
		COPY start /
		ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
		CMD ["sh", "/start"]
	DOCKERFILE
fi

if missing "$(named azurite)"; then
	build "$(named azurite)" deploy/setup/azurite <<-'DOCKERFILE'
		FROM node:20-bookworm-slim
		WORKDIR /opt/azurite
		COPY package.json package-lock.json .npmrc ./
		RUN npm ci --ignore-scripts --no-audit --no-fund
		ENV PATH=/opt/azurite/node_modules/.bin:/usr/local/bin:/usr/bin:/bin
	DOCKERFILE
fi

if missing "$(named caddy)"; then
	mkdir "$dir/caddy"
	build "$(named caddy)" "$dir/caddy" <<-'DOCKERFILE'
		FROM debian:bookworm-slim
		RUN apt-get update && apt-get install -y --no-install-recommends caddy && rm -rf /var/lib/apt/lists/*
		ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data
		CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
	DOCKERFILE
fi

if missing "$(named prometheus)"; then
	mkdir "$dir/prometheus"
	build "$(named prometheus)" "$dir/prometheus" <<-'DOCKERFILE'
		FROM debian:bookworm-slim
		RUN apt-get update && apt-get install -y --no-install-recommends prometheus && rm -rf /var/lib/apt/lists/* && \
		    install -d -o nobody /prometheus
		USER nobody
		CMD ["prometheus", "--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
	DOCKERFILE
fi
