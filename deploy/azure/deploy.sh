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
# (default westeurope). No password is stored: az and the registry are reached by the identity of the workflow.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=build/deploy
mkdir -p "$out"
say() { printf 'deploy: %s\n' "$*" >&2; }
need() { for name in "$@"; do [ -n "${!name:-}" ] || { say "set $name; the head of deploy/azure/deploy.sh lists the settings"; exit 2; }; done; }
location=${LOCATION:-westeurope}
template() { printf '%s\n' --resource-group "$RESOURCE_GROUP" --template-file deploy/azure/main.bicep \
	--parameters "deploy/azure/environments/$ENVIRONMENT.bicepparam"; }

check() {
	need RESOURCE_GROUP ENVIRONMENT
	az bicep build --file deploy/azure/main.bicep --stdout >"$out/main.json"
	mapfile -t arguments < <(template)
	az deployment group what-if "${arguments[@]}"
}

infrastructure() {
	need RESOURCE_GROUP ENVIRONMENT
	az group create --name "$RESOURCE_GROUP" --location "$location" --output none
	mapfile -t arguments < <(template)
	az deployment group create "${arguments[@]}" --name "cattlecounter-${VERSION:-infrastructure}" \
		--query properties.outputs --output json >"$out/outputs.json"
	say "resources are in place; outputs are in $out/outputs.json"
}

# ledger names what the ledger is like with this version: programs refuse the ledger of a newer one.
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

release() {
	need RESOURCE_GROUP REGISTRY WEB_APP WORKER_APP
	local old new
	# shellcheck disable=SC1091 # made by the step "images"
	. "$out/images.env"
	az containerapp show --resource-group "$RESOURCE_GROUP" --name "$WORKER_APP" \
		--query 'properties.template.containers[0].image' --output tsv >"$out/worker.before"
	az acr login --name "$REGISTRY"
	new=$(ledger_of "$WORKER")
	old=$(ledger_of "$(cat "$out/worker.before")") || old=
	rm -f "$out/ledger.changed"
	if [ -z "$old" ] || [ "$old" != "$new" ]; then
		date -u +%Y-%m-%dT%H:%M:%SZ >"$out/ledger.changed"
		say "this version may change the ledger: after that only a restored database leads back"
	fi
	az webapp config container set --resource-group "$RESOURCE_GROUP" --name "$WEB_APP" --slot next \
		--container-image-name "$CLOUD_API" --output none
	az webapp restart --resource-group "$RESOURCE_GROUP" --name "$WEB_APP" --slot next
	if ! healthy "https://$WEB_APP-next.azurewebsites.net"; then
		say "the new version is not ready in the slot; users have the one of before"
		stays_changed || true
		return 1
	fi
	az webapp deployment slot swap --resource-group "$RESOURCE_GROUP" --name "$WEB_APP" --slot next --target-slot production
	touch "$out/swapped"
	if ! { az containerapp update --resource-group "$RESOURCE_GROUP" --name "$WORKER_APP" --image "$WORKER" --output none &&
		healthy "https://$WEB_APP.azurewebsites.net" && smoke "https://$WEB_APP.azurewebsites.net"; }; then
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
	az containerapp update --resource-group "$RESOURCE_GROUP" --name "$WORKER_APP" --image "$(cat "$out/worker.before")" --output none
	say "the version of before runs again"
}

smoke() {
	need SMOKE_TOKEN SMOKE_CLIP SMOKE_COUNT
	deploy/azure/smoke.sh "$1" "$SMOKE_CLIP" "$SMOKE_COUNT"
}

case ${1:-} in
check | infrastructure | images | scan | release | back) "$1" ;;
smoke) smoke "${2:?the address of the API}" ;;
*) sed -n '2,14s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
