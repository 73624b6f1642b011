#!/usr/bin/env bash
# Makes sure that the base images of the Dockerfiles are there: bases.sh, called by build.sh. Where a registry is reached
# it pulls them. Where none is, it makes stand-ins under the same names out of Debian's packages and this machine's Go
# and Node, and says so: they are good for a test, and nothing that is published may be built on them.
# The build bases get this machine's CA bundle and package sources; the run base does not, because it would hide an
# image that has no CA certificates.
set -euo pipefail
say() { printf 'bases: %s\n' "$*" >&2; }
debian=debian:bookworm-slim go=golang:1.26-bookworm node=node:20-bookworm-slim
export DOCKER_BUILDKIT=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

have() { docker image inspect "$1" >/dev/null 2>&1; }
missing=()
for image in $debian $go $node; do
	have "$image" || timeout 120 docker pull --quiet "$image" >"$dir/pull.log" 2>&1 || missing+=("$image")
done
[ ${#missing[@]} = 0 ] && exit 0
say "no registry is reached ($(tail -n 1 "$dir/pull.log")); making STAND-INS for ${missing[*]}"
say "images that are built on stand-ins are for tests on this machine only"

if ! have $debian; then
	command -v mmdebstrap >/dev/null || apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null
	# shellcheck disable=SC2016
	mapfile -t sources < <(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
		'Created-By: Packages' 'Origin: Debian' | sort -u)
	mmdebstrap --quiet --variant=minbase bookworm "$dir/debian.tar" "${sources[@]}"
	docker import "$dir/debian.tar" $debian-raw >/dev/null
	# As in the published image: apt keeps neither packages nor lists, and documentation is left out.
	docker build --quiet --tag $debian - >/dev/null <<-DOCKERFILE
		FROM $debian-raw
		RUN printf 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };\n' >/etc/apt/apt.conf.d/docker-clean && \
		    printf 'path-exclude /usr/share/doc/*\npath-exclude /usr/share/man/*\npath-exclude /usr/share/locale/*\n' \
		    >/etc/dpkg/dpkg.cfg.d/docker && rm -rf /usr/share/doc/* /usr/share/man/* /usr/share/locale/* /var/lib/apt/lists/*
	DOCKERFILE
fi

# settings FOLDER: how this machine reaches its package sources.
settings() {
	cp -L "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$1/ca.crt"
	cat "$HOME/.npmrc" >"$1/npmrc" 2>/dev/null || true # empty without settings
	printf 'ENV NPM_CONFIG_USERCONFIG=/npmrc SSL_CERT_FILE=/ca.crt NODE_EXTRA_CA_CERTS=/ca.crt GOPROXY=%s GOSUMDB=%s\n' "$(go env GOPROXY)" "$(go env GOSUMDB)"
}

if ! have $go; then
	mkdir "$dir/go"
	cp -a "$(GOTOOLCHAIN=local go env GOROOT)" "$dir/go/go"
	docker build --quiet --tag $go --file - "$dir/go" >/dev/null <<-DOCKERFILE
		FROM $debian
		RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates git gcc g++ libc6-dev make pkg-config && \
		    rm -rf /var/lib/apt/lists/*
		COPY . /usr/local/
		$(settings "$dir/go")
		COPY ca.crt npmrc /
		ENV PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin GOTOOLCHAIN=local
	DOCKERFILE
fi

if ! have $node; then
	mkdir -p "$dir/node/bin" "$dir/node/lib/node_modules"
	cp -L "$(command -v node)" "$dir/node/bin/"
	npm=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
	cp -a "$npm" "$dir/node/lib/node_modules/npm"
	ln -s ../lib/node_modules/npm/bin/npm-cli.js "$dir/node/bin/npm"
	docker build --quiet --tag $node --file - "$dir/node" >/dev/null <<-DOCKERFILE
		FROM $debian
		RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libstdc++6 libatomic1 && \
		    rm -rf /var/lib/apt/lists/*
		$(settings "$dir/node")
		COPY bin/ /usr/local/bin/
		COPY lib/ /usr/local/lib/
		COPY ca.crt npmrc /
		RUN node --version && npm --version
	DOCKERFILE
fi
