#!/usr/bin/env bash
# Runs the other profiles of docker-compose.yml with the images that test.sh has built, and counts a clip in each:
# profiles.sh [azure] [caddy] [observability], all without arguments; part of `make containers`.
#   azure          PostgreSQL, Azurite, a broker of its own; the API is killed during it
#   caddy          a station that reaches the cloud only by HTTPS and MQTT over WebSocket; the smoke test; the page
#   observability  Prometheus scrapes the API, and knows the alert rules
# Images of others are stand-ins where no registry is reached, see standins.sh. Grafana and Jaeger do not run here.
set -euo pipefail
cd "$(dirname "$0")/../.."
deploy/docker/standins.sh
export COMPOSE_PROJECT_NAME=cattleprofiles HTTP_PORT=18080 MQTT_PORT=11883 HTTPS_PORT=18443 HTTP_REDIRECT_PORT=18081 \
	PROMETHEUS_PORT=19091 VERSION=${VERSION:-dev}
. deploy/docker/checks.sh
CARD=$(mktemp -d) SECRETS=$(mktemp -d)
export CARD SECRETS
chmod 755 "$CARD" "$SECRETS"
station=cattleprofiles-far-station

finish() {
	docker rm --force "$station" >/dev/null 2>&1 || true
	[ -z "${COMPOSE_PROFILES:-}" ] || {
		[ $failed = 0 ] && [ "${1:-0}" = 0 ] || compose logs --no-color --tail 40 >&2
		compose down --volumes --timeout 20 >/dev/null 2>&1
	}
	rm -rf "$CARD" "$SECRETS"
}
trap 'finish $?' EXIT

up() { # SERVICE...
	compose up --detach "$@" 2>"$SECRETS/up.log" || { tail -n 20 "$SECRETS/up.log" >&2; bad "docker compose up"; exit 1; }
}
down() {
	[ $failed = 0 ] || exit 1 # with the logs of what runs
	compose down --volumes --timeout 60 >/dev/null 2>&1
}
device() { compose run --rm --no-deps -T "$1" device add "${@:2}" 2>/dev/null; }

azure() {
	export COMPOSE_PROFILES=azure
	local key='Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==' # published with Azurite
	printf 'DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=%s;BlobEndpoint=http://azurite:10000/devstoreaccount1;QueueEndpoint=http://azurite:10001/devstoreaccount1;' \
		"$key" >"$SECRETS/azure_connection_string"
	printf 'postgres://cattle:rehearsal@postgres:5432/cattle?sslmode=disable' >"$SECRETS/ledger_url"
	head -c 32 /dev/urandom | basenc --base64url | tr -d '=' >"$SECRETS/ledger_keys"
	printf 'rehearsal' | tee "$SECRETS/mqtt_password" >"$SECRETS/postgres_password"
	chmod 644 "$SECRETS"/*
	fill_card
	up
	for service in postgres broker api-azure worker-azure edge; do
		until_true 240 "azure: $service is healthy" healthy "$service"
	done
	token=$(device enrol-azure checker --site ranch --role reader)
	check_count
	local id
	id=$(container api-azure)
	kill -KILL "$(docker inspect --format '{{.State.Pid}}' "$id")"
	restarted() { [ "$(docker inspect --format '{{.RestartCount}}' "$id")" -gt 0 ] && healthy api-azure; }
	until_true 180 "azure: the API is healthy after kill -9" restarted
	compose down --timeout 60 >/dev/null 2>&1
	up
	until_true 180 "azure: the API is healthy with the volumes of before" healthy api-azure
	if [ "$(count)" = "$found" ]; then ok "azure: the volumes have the count"; else bad "azure: the volumes have $(count), not $found"; fi
	down
}

caddy() {
	export COMPOSE_PROFILES=embedded,caddy PUBLIC_URL=https://localhost:$HTTPS_PORT MQTT_PUBLIC_URL=wss://localhost:$HTTPS_PORT/mqtt
	fill_card
	# The station of the compose file stays away: the one below comes from outside.
	up api worker caddy
	until_true 180 "caddy: the API is healthy" healthy api
	root() { docker cp "$(container caddy):/data/caddy/pki/authorities/local/root.crt" "$SECRETS/root.crt"; }
	until_true 60 "caddy: it has made its certificate" root
	chmod 644 "$SECRETS/root.crt"
	export CURL_CA_BUNDLE=$SECRETS/root.crt
	page() { curl -fsS --max-time 10 "$PUBLIC_URL/" | grep -qi '<title>'; }
	until_true 60 "caddy: the page over HTTPS" page
	token=$(device enrol checker --site ranch --role reader)
	device enrol far --site ranch >"$SECRETS/far"
	chmod 644 "$SECRETS/far"
	docker run --detach --name "$station" --network host --read-only --cap-drop ALL --tmpfs /spool:uid=10001 --volume "$CARD:/card:ro" \
		--volume "$SECRETS:/secrets:ro" --env SSL_CERT_FILE=/secrets/root.crt --env CATTLE_EDGE_SITE=ranch --env CATTLE_EDGE_DEVICE=far \
		--env CATTLE_EDGE_TOKEN_FILE=/secrets/far --env CATTLE_EDGE_CLOUD_URL="$PUBLIC_URL" \
		--env CATTLE_EDGE_MQTT_URL="$MQTT_PUBLIC_URL" "cattlecounter/edge-agent:$VERSION" >/dev/null
	check_count
	online() { ask /api/v1/stations | python3 -c 'import json,sys
sys.exit(not any(s["device"] == "far" and s["state"] == "online" for s in json.load(sys.stdin)["items"]))'; }
	until_true 120 "caddy: the station is online by MQTT over WebSocket" online || docker logs --tail 20 "$station" >&2
	SMOKE_TOKEN=$(device enrol smoke --site ranch)
	export SMOKE_TOKEN
	if deploy/azure/smoke.sh "$PUBLIC_URL" deploy/azure/smoke.mp4 8; then ok "caddy: smoke test over HTTPS"; else bad "caddy: smoke test over HTTPS"; fi
	docker rm --force "$station" >/dev/null
	unset CURL_CA_BUNDLE PUBLIC_URL MQTT_PUBLIC_URL
	down
}

observability() {
	export COMPOSE_PROFILES=embedded,observability
	fill_card
	up api enrol worker edge prometheus
	until_true 180 "observability: the API is healthy" healthy api
	token=$(device enrol checker --site ranch --role reader)
	check_count
	query() { curl -fsS --max-time 10 --get --data-urlencode "query=$1" "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/query"; }
	has() { query "$1" | python3 -c 'import json,sys; sys.exit(not json.load(sys.stdin)["data"]["result"])'; }
	until_true 120 "observability: Prometheus scrapes the API" has 'up{job="cattlecounter"} == 1'
	until_true 120 "observability: the station is online in Prometheus" has 'cattle_station_online == 1'
	rules() { curl -fsS --max-time 10 "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/rules" | python3 -c 'import json,sys
rules = [r for g in json.load(sys.stdin)["data"]["groups"] for r in g["rules"]]
sys.exit(not rules or any(r["health"] != "ok" for r in rules))'; }
	until_true 120 "observability: every rule is evaluated" rules
	down
}

profiles=("$@")
[ $# -gt 0 ] || profiles=(azure caddy observability)
for profile in "${profiles[@]}"; do
	case $profile in
	azure | caddy | observability) "$profile" ;;
	*) echo "profiles: $profile is not azure, caddy or observability" >&2; exit 2 ;;
	esac
done
echo "profiles: ${profiles[*]} took $((SECONDS / 60)) min"
exit $failed
