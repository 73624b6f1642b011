#!/usr/bin/env bash
# Brings a version to Azure. The workflow deploy.yml calls one step after the other; a person with `az login` can too.
#
#   deploy.sh check           compile main.bicep, and print what would change
#   deploy.sh infrastructure  make or change the resources of main.bicep
#   deploy.sh images          build, push and sign the images; their digests go into build/deploy/images.env
#   deploy.sh scan            fail on known vulnerabilities in the pushed images that have a fix
#   deploy.sh release         API into the slot "next", health, swap; then the workers; smoke test; back on a failure
#   deploy.sh smoke URL       upload a clip and wait for its count (SMOKE_TOKEN, SMOKE_CLIP, SMOKE_COUNT)
#   deploy.sh back            the versions of before; refused if the release changed the ledger, because these refuse it
#
# Settings: RESOURCE_GROUP, ENVIRONMENT (a file environments/NAME.bicepparam), REGISTRY (its name), VERSION; LOCATION
# (default westeurope); for check and infrastructure MQTT_PASSWORD, LEDGER_KEYS, DATABASE_ADMIN_ID, DATABASE_ADMIN_NAME.
# No password of Azure is stored: az and the registry are reached by the identity of the workflow.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=build/deploy
mkdir -p "$out"
say() { printf 'deploy: %s\n' "$*" >&2; }
need() { for name in "$@"; do [ -n "${!name:-}" ] || { say "set $name; the head of deploy/azure/deploy.sh lists the settings"; exit 2; }; done; }
location=${LOCATION:-westeurope}
template() { printf '%s\n' --resource-group "$RESOURCE_GROUP" --template-file deploy/azure/main.bicep \
	--parameters "deploy/azure/environments/$ENVIRONMENT.bicepparam"; }

# only WHAT LINES: the one line, or nothing; with more it stops, because it cannot choose.
only() {
	[ "$(wc -l <<<"$2")" = 1 ] || { say "the group $RESOURCE_GROUP has several $1; one installation has a group of its own"; return 1; }
	printf '%s' "$2"
}

# note_before IMAGE: notes the workers that run before a release. Marks of an earlier release count only while the same run.
note_before() {
	[ "$(cat "$out/worker.before" 2>/dev/null || true)" = "$1" ] || rm -f "$out/ledger.changed"
	printf '%s\n' "$1" >"$out/worker.before"
}

# installed finds what runs, for the parameters of main.bicep: resources change without another version, and the API that
# runs keeps its settings, because it refuses those that it does not know. Both change in the step "release".
installed() {
	local site worker
	need RESOURCE_GROUP ENVIRONMENT MQTT_PASSWORD LEDGER_KEYS DATABASE_ADMIN_ID DATABASE_ADMIN_NAME
	export API_IMAGE='' WORKER_IMAGE='' API_SETTINGS='[]'
	site=$(az webapp list --resource-group "$RESOURCE_GROUP" --query "[?tags.product=='cattlecounter'].name" --output tsv)
	site=$(only "web apps" "$site")
	worker=$(az containerapp list --resource-group "$RESOURCE_GROUP" \
		--query "[?tags.product=='cattlecounter'&&ends_with(name,'-worker')].properties.template.containers[0].image" --output tsv)
	WORKER_IMAGE=$(only "apps of workers" "$worker")
	if [ -n "$site" ]; then
		API_IMAGE=$(az webapp config show --resource-group "$RESOURCE_GROUP" --name "$site" --query linuxFxVersion --output tsv)
		case $API_IMAGE in
		'DOCKER|'?*) API_IMAGE=${API_IMAGE#'DOCKER|'} ;;
		*) say "the web app $site runs \"$API_IMAGE\", and not the image of a container"; return 1 ;;
		esac
		API_SETTINGS=$(az webapp config appsettings list --resource-group "$RESOURCE_GROUP" --name "$site" \
			--query "[].{name:name,value:value}" --output json)
	fi
	if [ -z "$API_IMAGE" ] || [ -z "$WORKER_IMAGE" ]; then
		need VERSION
	fi
}

check() {
	need RESOURCE_GROUP ENVIRONMENT
	az bicep build --file deploy/azure/main.bicep --stdout >"$out/main.json"
	installed
	mapfile -t arguments < <(template)
	az deployment group what-if "${arguments[@]}"
}

infrastructure() {
	need RESOURCE_GROUP ENVIRONMENT
	az group create --name "$RESOURCE_GROUP" --location "$location" --output none
	installed
	[ -z "$WORKER_IMAGE" ] || note_before "$WORKER_IMAGE"
	mapfile -t arguments < <(template)
	az deployment group create "${arguments[@]}" --name "cattlecounter-${VERSION:-infrastructure}" \
		--query properties.outputs --output json >"$out/outputs.json"
	say "resources are in place; outputs are in $out/outputs.json"
}

# ledger names what the ledger is like with this version: programs refuse the ledger of a newer one. The name comes from
# the paths of the migrations alone, because a migration that was published never changes; each change of the ledger is a
# new file.
ledger() { find cloud/store -path '*/migrations/*.sql' | LC_ALL=C sort | sha256sum | cut -c1-16; }

# ledger_of IMAGE: the same of an image, empty if it does not say.
ledger_of() {
	docker buildx imagetools inspect "$1" --format '{{json .Image}}' | python3 -c 'import json, sys
def find(v):
    if isinstance(v, dict):
        return v.get("cattlecounter.ledger") or next(filter(None, map(find, v.values())), "")
    return next(filter(None, map(find, v)), "") if isinstance(v, list) else ""
print(find(json.load(sys.stdin)))'
}

# stays_changed is true if going back would end in programs that refuse the ledger; it says what to do.
stays_changed() {
	[ -e "$out/ledger.changed" ] || return 1
	say "NOT GOING BACK: the new version may have changed the ledger, and the programs of before refuse a changed one"
	say "mend the new version and release it, or stop everything and restore the database to $(cat "$out/ledger.changed")"
	say "(az postgres flexible-server restore), remove $out/ledger.changed, and run: deploy/azure/deploy.sh back"
}

images() {
	need REGISTRY VERSION
	az acr login --name "$REGISTRY"
	local host=$REGISTRY.azurecr.io digest program platforms
	: >"$out/images.env"
	for program in cloud-api worker edge-agent; do
		platforms=linux/amd64
		[ "$program" != edge-agent ] || platforms=linux/amd64,linux/arm64,linux/arm/v7
		docker buildx build --file "deploy/docker/$program.Dockerfile" --platform "$platforms" --pull --push \
			--provenance mode=max --sbom true --build-arg VERSION="$VERSION" --build-arg REVISION="$(git rev-parse HEAD)" \
			--build-arg COMMITTED="$(git log -1 --format=%cI)" --label "cattlecounter.ledger=$(ledger)" --metadata-file "$out/$program.json" \
			--tag "$host/cattlecounter/$program:$VERSION" .
		digest=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["containerimage.digest"])' "$out/$program.json")
		cosign sign --yes "$host/cattlecounter/$program@$digest"
		printf '%s=%s\n' "$(tr 'a-z-' 'A-Z_' <<<"$program")" "$host/cattlecounter/$program@$digest" >>"$out/images.env"
	done
	say "pushed and signed: $out/images.env"
}

# scanner prints the path of trivy; where it is missing, it is built.
scanner() {
	command -v trivy && return 0
	say "building trivy (some minutes)"
	GOBIN="$PWD/$out/tools" go install github.com/aquasecurity/trivy/cmd/trivy@v0.74.0
	echo "$out/tools/trivy"
}

scan() {
	local image failed=0 trivy
	trivy=$(scanner)
	while IFS='=' read -r _ image; do
		"$trivy" image --exit-code 1 --ignore-unfixed --severity HIGH,CRITICAL "$image" || failed=1
	done <"$out/images.env"
	[ "$failed" = 0 ] || { say "an image has vulnerabilities that have a fix; build again on newer bases"; exit 1; }
}

# healthy URL: waits until the API at the address is ready.
healthy() {
	local try
	for try in $(seq 1 "${HEALTH_TRIES:-60}"); do
		if curl -fsS --max-time 10 "$1/readyz" >/dev/null 2>&1; then
			say "ready: $1"
			return 0
		fi
		sleep "${HEALTH_PAUSE:-5}"
	done
	say "not ready after $try tries: $1"
	return 1
}

# workers IMAGE: starts workers of this image. The suffix makes a revision in any case, also where the last one is stopped.
workers() {
	az containerapp update --resource-group "$RESOURCE_GROUP" --name "$WORKER_APP" --image "$1" \
		--revision-suffix "r$(date -u +%Y%m%d%H%M%S)" --output none
}

# stop_workers stops the workers that run and waits until they have finished their jobs: at most 11 minutes, which is longer
# than the time that the platform gives them.
stop_workers() {
	local revisions revision left try
	revisions=$(az containerapp revision list --resource-group "$RESOURCE_GROUP" --name "$WORKER_APP" \
		--query "[?properties.active].name" --output tsv) || return 1
	for revision in $revisions; do
		say "stopping the workers $revision"
		az containerapp revision deactivate --resource-group "$RESOURCE_GROUP" --name "$WORKER_APP" --revision "$revision" --output none ||
			return 1
		for try in $(seq 1 "${DRAIN_TRIES:-132}"); do
			left=$(az containerapp revision show --resource-group "$RESOURCE_GROUP" --name "$WORKER_APP" --revision "$revision" \
				--query properties.replicas --output tsv) || return 1
			[ "${left:-0}" != 0 ] || break
			sleep "${HEALTH_PAUSE:-5}"
		done
		[ "${left:-0}" = 0 ] || { say "$left workers still run after $try tries"; return 1; }
	done
}

release() {
	need RESOURCE_GROUP REGISTRY WEB_APP WORKER_APP
	local old new before
	rm -f "$out/swapped"
	# shellcheck disable=SC1091 # made by the step "images"
	. "$out/images.env"
	before=$(az containerapp show --resource-group "$RESOURCE_GROUP" --name "$WORKER_APP" \
		--query 'properties.template.containers[0].image' --output tsv)
	note_before "$before"
	az acr login --name "$REGISTRY"
	new=$(ledger_of "$WORKER")
	old=$(ledger_of "$before") || old=
	# A mark of an earlier try stays, with its time: that try may have changed the ledger already.
	if [ ! -e "$out/ledger.changed" ] && { [ -z "$old" ] || [ "$old" != "$new" ]; }; then
		date -u +%Y-%m-%dT%H:%M:%SZ >"$out/ledger.changed"
	fi
	if [ -e "$out/ledger.changed" ]; then
		say "this version may change the ledger: after that only a restored database leads back"
		if ! stop_workers; then
			say "the workers of before could not be stopped; they start again, and nothing else has changed"
			workers "$before"
			return 1
		fi
	fi
	if ! { az webapp config container set --resource-group "$RESOURCE_GROUP" --name "$WEB_APP" --slot next \
		--container-image-name "$CLOUD_API" --output none &&
		az webapp restart --resource-group "$RESOURCE_GROUP" --name "$WEB_APP" --slot next &&
		healthy "https://$WEB_APP-next.azurewebsites.net" &&
		az webapp deployment slot swap --resource-group "$RESOURCE_GROUP" --name "$WEB_APP" --slot next --target-slot production; }; then
		say "the new version is not ready in the slot, or could not leave it; users have the one of before"
		if stays_changed; then
			say "the workers of before start again; they count only if the ledger has not changed yet"
			workers "$before"
		fi
		return 1
	fi
	touch "$out/swapped"
	if ! { workers "$WORKER" && healthy "https://$WEB_APP.azurewebsites.net" && smoke "https://$WEB_APP.azurewebsites.net"; }; then
		stays_changed || back
		return 1
	fi
	say "version ${VERSION:-} runs"
}

back() {
	need RESOURCE_GROUP WEB_APP WORKER_APP
	! stays_changed || return 1
	say "going back to the version of before"
	if [ -e "$out/swapped" ]; then
		az webapp deployment slot swap --resource-group "$RESOURCE_GROUP" --name "$WEB_APP" --slot next --target-slot production
		rm "$out/swapped"
	fi
	workers "$(cat "$out/worker.before")"
	say "the version of before runs again"
}

smoke() {
	need SMOKE_TOKEN SMOKE_CLIP SMOKE_COUNT
	deploy/azure/smoke.sh "$1" "$SMOKE_CLIP" "$SMOKE_COUNT"
}

case ${1:-} in
check | infrastructure | images | scan | release | back) "$1" ;;
smoke) smoke "${2:?the address of the API}" ;;
*) sed -n '2,15s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
