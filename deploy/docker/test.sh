#!/usr/bin/env bash
# Builds the images, starts the whole product with docker compose, counts a clip and looks at what runs: `make containers`.
# It needs Docker with Compose v2 and build/bin/herdsim, which makes the clip; CLIP=FILE.mp4 names one that herdsim made
# before. Ports 18080 and 11883 of this machine must be free. SKIP_BUILD=1 uses the images that are there.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -n "${SKIP_BUILD:-}" ] || deploy/docker/build.sh
export COMPOSE_PROFILES=embedded COMPOSE_PROJECT_NAME=cattletest HTTP_PORT=18080 MQTT_PORT=11883 VERSION=${VERSION:-dev}
CARD=$(mktemp -d)
export CARD
chmod 755 "$CARD"
. deploy/docker/checks.sh
finish() {
	[ $failed = 0 ] && [ "${1:-0}" = 0 ] || compose logs --no-color --tail 60 >&2
	compose down --volumes --timeout 20 >/dev/null 2>&1
	rm -rf "$CARD"
}
trap 'finish $?' EXIT

# --- sizes in MB, as decimal as Docker prints them ---
for limit in edge-agent:40 cloud-api:70 worker:450; do
	program=${limit%:*} mb=$(($(docker image inspect --format '{{.Size}}' "cattlecounter/${limit%:*}:$VERSION") / 1000000))
	if [ $mb -le "${limit#*:}" ]; then ok "size of $program: $mb MB"; else bad "size of $program: $mb MB, limit ${limit#*:}"; fi
done

# --- a clip in the card folder, and the stack ---
fill_card
compose up --detach --quiet-pull 2>/dev/null || { bad "docker compose up"; exit 1; }
for service in api worker edge; do
	until_true 180 "$service is healthy" healthy $service
done
token=$(compose run --rm --no-deps -T enrol device add checker --site ranch --role reader 2>/dev/null)
check_count

# --- the smoke test of a deployment ---
SMOKE_TOKEN=$(compose run --rm --no-deps -T enrol device add smoke --site ranch 2>/dev/null)
export SMOKE_TOKEN
if deploy/azure/smoke.sh "http://127.0.0.1:$HTTP_PORT" deploy/azure/smoke.mp4 8; then ok "smoke test"; else bad "smoke test"; fi

# --- how the containers run ---
# Without Go, the SBOM is only counted: its schema comes with a Go module.
check_sbom=
if command -v go >/dev/null; then check_sbom="go run ./deploy/packaging/sbom/cmd/sbom check"; fi
mkdir -p build/images
for service in api worker edge; do
	id=$(container $service)
	read -r user readonly caps memory <<<"$(docker inspect --format \
		'{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.Memory}}' "$id")"
	if [ "$user $readonly $caps" = "10001:10001 true [ALL]" ] && [ "$memory" -gt 0 ]; then
		ok "$service: user $user, read-only, no capabilities, memory limit $((memory >> 20)) MiB"
	else
		bad "$service: user $user, read-only $readonly, dropped $caps, memory $memory"
	fi
	pid=$(docker inspect --format '{{.State.Pid}}' "$id")
	status=$(grep -E '^(Uid|CapEff|NoNewPrivs):' "/proc/$pid/status" | tr -s '\t\n' ' ')
	if [[ $status == *"Uid: 10001"* && $status == *"CapEff: 0000000000000000"* && $status == *"NoNewPrivs: 1"* ]]; then
		ok "$service: the process has no privileges"
	else
		bad "$service: $status"
	fi
	certificates=$(docker cp "$id:/etc/ssl/certs/ca-certificates.crt" - | tar -xO | grep -c 'BEGIN CERTIFICATE')
	if [ "$certificates" -gt 100 ]; then ok "$service: $certificates CA certificates"; else bad "$service: $certificates CA certificates"; fi
	if docker cp "$id:/usr/share/doc/cattlecounter/NOTICE" - | tar -xO | grep -q 'Go modules in the programs'; then ok "$service: NOTICE"; else bad "$service: no NOTICE"; fi
	sbom=build/images/$service.cdx.json
	docker cp "$id:$(docker inspect --format '{{index .Config.Labels "cattlecounter.sbom"}}' "$id")" - | tar -xO >"$sbom"
	if [ -z "$check_sbom" ] || $check_sbom "$PWD/$sbom"; then
		ok "$service: SBOM with $(grep -c '"bom-ref"' "$sbom") parts"
	else
		bad "$service: SBOM $sbom"
	fi
	version=$(docker exec "$id" "$(docker inspect --format '{{index .Config.Entrypoint 0}}' "$id")" --version)
	if [[ $version == *" $VERSION"* ]]; then ok "$service: $version"; else bad "$service: version \"$version\", want $VERSION"; fi
done

# --- kill -9 of each container's process ---
for service in api worker edge; do
	id=$(container $service)
	before=$(docker inspect --format '{{.RestartCount}}' "$id")
	kill -KILL "$(docker inspect --format '{{.State.Pid}}' "$id")"
	restarted() { [ "$(docker inspect --format '{{.RestartCount}}' "$id")" -gt "$before" ] && healthy "$service"; }
	until_true 180 "$service is restarted and healthy after kill -9" restarted
done
again=$(count)
if [ "$again" = "$found" ]; then ok "the count is still there"; else bad "the count was $found and is $again"; fi

# --- everything made again from the volumes; a stop is clean ---
compose down --timeout 60 >/dev/null 2>&1
compose up --detach 2>/dev/null
until_true 180 "api is healthy with the volumes of before" healthy api
again=$(count)
if [ "$again" = "$found" ]; then ok "the volumes have the count"; else bad "the volumes have $again, not $found"; fi
began=$SECONDS
compose stop --timeout 60 api edge >/dev/null 2>&1
for service in api edge; do
	code=$(docker inspect --format '{{.State.ExitCode}}' "$(container $service)")
	if [ "$code" = 0 ]; then ok "$service stops with exit status 0"; else bad "$service stops with exit status $code"; fi
done
echo "containers: stopped in $((SECONDS - began)) s; all of it took $((SECONDS / 60)) min"
exit $failed
