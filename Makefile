# CattleCounter. `make help` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help

TAGS := gocv_specific_modules,gocv_videoio
BIN := build/bin
export ONNXRUNTIME_LIB ?= $(CURDIR)/build/onnxruntime/libonnxruntime.so.1
GO_TEST := go test -tags $(TAGS)

# Version of programs and packages; it grows with every commit.
VERSION ?= 0.1.$(shell git rev-list --count HEAD)
# A clock that shows an earlier time is certainly wrong.
COMMITTED ?= $(shell git log -1 --format=%cI)

RETRAINED := $(CURDIR)/build/train/retrain
TRAIN := cd cloud/training && $(CURDIR)/build/train/venv/bin/python

.PHONY: help setup build demo quick page-watch page-firefox screenshots lighthouse openapi calibrate peers test e2e faults conformance conformance-mqtt containers arm manifests check vulnerabilities cross cross-one deb release reproducible fresh bench bench-ledger load soak upgrade fuzz train-setup train-art train-test finetune retrain evaluate clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: ## install what building and running needs (Debian packages, ONNX Runtime, the page)
	@deploy/setup/setup.sh build

build: setup ## build the programs into build/bin
	@mkdir -p $(BIN)
	CGO_ENABLED=0 go build -o $(BIN)/ ./edge/cmd/edge-agent ./cloud/cmd/cloud-api ./deploy/allinone/cmd/allinone
	go build -tags $(TAGS) -o $(BIN)/ ./cloud/cmd/worker ./cloud/cmd/herdsim

# FOOTAGE=file of your own; MODEL=file, folder or name of a pulled model; ONCE=1 ends with the count.
demo: build ## count a clip from drone card to web page on this machine
	@$(BIN)/allinone --bin $(BIN) --data build/demo --fresh \
		$(if $(FOOTAGE),--footage "$(FOOTAGE)") $(if $(MODEL),--model "$(MODEL)") $(if $(ONCE),--once)

quick: ## vet and short tests without cgo, Python and servers; under 2 minutes with warm caches
	@deploy/setup/quick.sh

# API=address of cloud-api, PORT of this server.
page-watch: ## serve the page from its sources, rebuilt on change, in front of a running cloud-api
	@deploy/setup/setup.sh page
	@cd cloud/server/dashboard && node watch.mjs "$(or $(API),http://127.0.0.1:8080)" "$(or $(PORT),5173)"

# These packages have long tests: crashes at every write, large files, many pictures, damaged clips, a second database.
# Under the race detector the short form is enough, without it they run whole.
LONG := ./edge/spool ./edge/cmd/edge-agent ./cloud/cmd/worker ./cloud/server/intake ./cloud/count/condition \
	./cloud/count/video/libav ./cloud/count/evidence ./cloud/store/ledger
# Packages without goroutines whose tests take minutes under the race detector.
PURE := ./cloud/count/track/motion ./cloud/flightlog ./cloud/place
# The tests of the page in Chromium are in this package. They run without the race detector, its other tests with it.
PAGE := ./cloud/server
RACE := ./edge/... ./shared/... ./cloud/... ./deploy/testkit/... ./deploy/proof/...

# Many tests wait more than they compute, so more packages run at a time than there are cores. The last command has the
# addresses of a 32-bit board.
test: ## set up, then run every Go test: unit, race, contracts, end to end
	@deploy/setup/setup.sh test
	$(GO_TEST) -race -p 4 -timeout 15m $$(go list -tags $(TAGS) $(RACE) | grep -vxF "$$(go list -tags $(TAGS) $(LONG) $(PURE) $(PAGE))")
	$(GO_TEST) -race -timeout 15m -skip '^TestPage' $(PAGE)
	CATTLE_BROWSER=required $(GO_TEST) -timeout 40m -run '^TestPage' $(PAGE)
	$(GO_TEST) -race -short -timeout 15m $(LONG)
	$(GO_TEST) -count=1 -p 3 -parallel 8 -timeout 15m $(LONG) $(PURE) $$(go list -tags $(TAGS) ./deploy/... | grep -vE '/deploy/(testkit|proof)')
	CGO_ENABLED=0 GOARCH=386 go test -short -timeout 10m ./edge/spool

e2e: ## the end-to-end tests alone
	@deploy/setup/setup.sh test
	$(GO_TEST) -count=1 -parallel 8 -v -timeout 15m ./deploy/e2e/...

faults: ## run the tests of bad links with larger files (minutes); print the table of firmware-notes/modem.md
	@deploy/setup/setup.sh test
	@rm -f build/faults.md
	FAULTS=long FAULTS_REPORT=$(CURDIR)/build/faults.md $(GO_TEST) -count=1 -parallel 16 -timeout 30m -run TestFaults ./deploy/e2e
	@cat build/faults.md

# ARGS are further arguments, such as --json or --digest sha256. TUS_HEADER can hold a header, such as
# "Authorization: Bearer TOKEN".
conformance: ## URL=http://host/files/: check a test server against tus 1.0; it receives uploads
	@test -n "$(URL)" || { echo 'usage: make conformance URL=http://127.0.0.1:8080/files/; go run ./deploy/conformance/tus/cmd/tus-conformance --help lists the arguments'; exit 2; }
	@go run ./deploy/conformance/tus/cmd/tus-conformance "$(URL)" $(ARGS)

# API=address of cloud-api; MQTT_ADMIN_TOKEN holds the token of an admin of every site. ARGS are further arguments, such as
# --json, --restart 'systemctl restart cattle-cloud', or --reader NAME with MQTT_TOKEN instead of an admin.
conformance-mqtt: ## URL=mqtt://host:1883 API=http://host:8080: check a test server against the MQTT contract; it gets accounts
	@test -n "$(URL)" || { echo 'usage: make conformance-mqtt URL=mqtt://127.0.0.1:1883 API=http://127.0.0.1:8080; go run ./deploy/conformance/mqtt/cmd/mqtt-conformance --help lists the arguments'; exit 2; }
	@go run ./deploy/conformance/mqtt/cmd/mqtt-conformance "$(URL)" $(if $(API),--api "$(API)") $(ARGS)

page-firefox: ## open every view of the page in Firefox and use the main actions
	@deploy/setup/setup.sh pagechecks
	CATTLE_FIREFOX=required CATTLE_BROWSER=required $(GO_TEST) -count=1 -v -run TestPageInFirefox ./cloud/server

screenshots: ## make the pictures of deploy/docs/page.md from a seeded ranch, of a phone and of a desktop
	SCREENSHOTS=$(CURDIR)/deploy/docs/page CATTLE_BROWSER=required $(GO_TEST) -count=1 -v -run TestPageScreenshots ./cloud/server

lighthouse: ## measure the page with Lighthouse's mobile profile: paint within 1.5 s, layout shift at most 0.02
	@deploy/setup/setup.sh pagechecks
	LIGHTHOUSE=1 CATTLE_BROWSER=required $(GO_TEST) -count=1 -v -timeout 30m -run TestPageWithLighthouse ./cloud/server

openapi: ## check openapi.yaml with Redocly and Spectral: no errors
	@deploy/setup/setup.sh pagechecks
	cd build/pagechecks && node_modules/.bin/spectral lint -F error -D -q -r spectral.yaml ../../cloud/server/web/openapi.yaml
	cd build/pagechecks && REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true node_modules/.bin/redocly lint --config redocly.yaml --format summary ../../cloud/server/web/openapi.yaml

check: cross ## check format, vet, lint, modules and the cross-builds: before each commit
	@deploy/setup/setup.sh lint
	@test -z "$$(gofmt -l edge cloud shared deploy | tee /dev/stderr)" || { echo 'run gofmt -w on these files' >&2; exit 1; }
	go vet -tags $(TAGS) ./...
	go mod tidy -diff
	build/tools/golangci-lint run --build-tags $(TAGS)
	build/tools/actionlint .github/workflows/*.yml
	build/tools/venv/bin/zizmor --offline --quiet .github/workflows
	build/tools/venv/bin/python deploy/azure/syntax.py
	build/tools/checkov/bin/checkov --config-file deploy/setup/checkov.yaml --directory deploy --directory .github

vulnerabilities: ## look for known vulnerabilities that reach the code (a minute once its tools are built)
	@deploy/setup/vulnerabilities.sh
	@deploy/setup/npmaudit.sh

cross: ## build the programs without cgo for every board into build/cross
	@VERSION='$(VERSION)' COMMITTED='$(COMMITTED)' deploy/packaging/cross.sh

cross-one:
	@VERSION='$(VERSION)' COMMITTED='$(COMMITTED)' deploy/packaging/cross.sh $(PROGRAM) $(BOARD)

deb: cross ## build Debian packages of edge-agent for every board into build/deb
	@VERSION='$(VERSION)' deploy/packaging/deb.sh

# VERSION=1.2.3 is required; deploy/docs/releasing.md says when and how.
release: ## VERSION=1.2.3: archives, Debian packages, SBOM and checksums into build/release/VERSION
	@test "$(origin VERSION)" != file || { echo 'usage: make release VERSION=1.2.3; see deploy/docs/releasing.md'; exit 2; }
	@deploy/setup/setup.sh build
	@VERSION='$(VERSION)' COMMITTED='$(COMMITTED)' deploy/packaging/release.sh

reproducible: setup ## build the programs twice in two folders with empty caches, and compare them byte by byte
	@deploy/packaging/reproduce.sh

fresh: ## rehearse make demo and make test in a fresh Debian with git, make and Go alone; needs root
	@deploy/setup/fresh.sh

containers: build ## build the images, run each compose profile and count a clip in it (up to 40 minutes the first time)
	@deploy/docker/test.sh
	@deploy/docker/profiles.sh

arm: ## run the edge agent of both ARM boards in an emulator: card, spool, upload, stop
	@command -v qemu-arm-static >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends qemu-user-static; }
	ARM=required go test -count=1 -run TestARM ./edge/cmd/edge-agent

manifests: ## decode the Kubernetes manifests strictly into the types of Kubernetes and KEDA (minutes the first time)
	cd deploy/kubernetes && go test ./...

bench: setup ## measure the worker against bare ONNX Runtime, an upload against a plain copy
	@deploy/bench/bench.sh

bench-ledger: ## ask a ledger of 100,000 pieces of footage and 10 million positions, on SQLite and on PostgreSQL (some minutes)
	$(GO_TEST) -run '^$$' -bench HistoryOf100000 -benchtime 15x -timeout 30m ./cloud/store/ledger
	LEDGER_TEST_POSTGRES=yes $(GO_TEST) -run '^$$' -bench HistoryOf100000 -benchtime 15x -timeout 30m ./cloud/store/ledger

# LOAD_STATIONS, LOAD_UPLOADS and others: see deploy/bench/load/doc.go.
load: ## measure 2,000 stations, 200 uploads at once, 4 clouds and 8 workers on this machine (some minutes)
	@deploy/setup/setup.sh test
	$(GO_TEST) -run '^$$' -bench Load -benchtime 1x -timeout 30m ./deploy/bench/load

soak: ## SOAK=1h (at most 24h): upload and count while servers are killed, paused, cut off or out of disk; every byte must arrive
	@deploy/setup/setup.sh test
	SOAK=$(or $(SOAK),1h) $(GO_TEST) -count=1 -v -run TestSoak -timeout 25h ./deploy/bench/load

upgrade: ## FROM=v0.1.0: replace the programs of an older version one by one while clips arrive; nothing may be lost
	@test -n "$(FROM)" || { echo 'usage: make upgrade FROM=TAG; see deploy/docs/releasing.md'; exit 2; }
	@deploy/setup/setup.sh test
	UPGRADE_FROM="$(FROM)" $(GO_TEST) -count=1 -v -run TestUpgrade -timeout 30m ./deploy/bench/load

# ARGS are further arguments, such as --only still/ or --parts 10 --part 0. The detector's answers are kept in
# build/calibrate/answers, so a second run takes a fraction of the first; --refit judges the tracks of the last run again.
calibrate: setup ## count 389 clips with exact truth; print errors and how often the interval holds
	go run -tags $(TAGS) ./deploy/bench/calibrate/cmd/calibrate $(ARGS)

peers: build ## compare errors, speed and memory with published trackers in Python, on the same clips
	@deploy/setup/setup.sh peers
	go run -tags $(TAGS) ./deploy/bench/peers/cmd/peers $(ARGS)

fuzz: ## run every fuzz target for FUZZTIME (30s each), and 1,000 damaged copies of each container
	MUTANTS=$(or $(MUTANTS),1000) $(GO_TEST) -count=1 -timeout 60m -run TestMutants ./cloud/count/video/libav
	@for p in $$(go list -tags $(TAGS) ./...); do \
		for f in $$($(GO_TEST) -list '^Fuzz' $$p 2>/dev/null | grep '^Fuzz'); do \
			echo "$$p $$f"; $(GO_TEST) -run '^$$' -fuzz "^$$f\$$" -fuzztime $(or $(FUZZTIME),30s) $$p || exit 1; done; done

train-setup: ## install what training the detector needs (about 6 GB, in build/train)
	@deploy/setup/setup.sh train

train-art: ## fetch models, textures and pictures of ground for training (3.1 GB, in build/train)
	@deploy/setup/setup.sh art

train-test: train-setup ## test the training code: data, some steps, export, fine-tuning
	$(TRAIN) -m ruff check .
	$(TRAIN) -m pytest -q tests

# REPLAY=rendered renders 400 pictures of herds into build/train/replay; it may also be COCO folders (FOLDER[@WEIGHT]).
finetune: train-setup ## DATA=COCO folder, OUT=model folder, REPLAY=rendered, MINUTES=60: train a model for your own herd
	@test -n "$(DATA)" -a -n "$(OUT)" || { echo 'usage: make finetune DATA=folder OUT=folder; see cloud/training/README.md'; exit 2; }
ifeq ($(REPLAY),rendered)
	@test -f build/train/replay/annotations.json || { go build -tags $(TAGS) -o $(BIN)/ ./cloud/cmd/herdsim && rm -rf build/train/replay && \
		$(BIN)/herdsim pictures --out build/train/replay --images 400 --seed 77; }
endif
	$(TRAIN) -m cattletrain.finetune "$(abspath $(DATA))" "$(abspath $(OUT))" --minutes $(or $(MINUTES),60) \
		$(foreach r,$(patsubst rendered,build/train/replay@0.5,$(REPLAY)),--replay "$(abspath $(r))")

# All that is made stays in build/train/retrain, and a second run goes on there. ARGS are further arguments, such as
# --steps 400 or --part 0.1; they need a folder of their own, RETRAINED.
retrain: train-setup train-art ## DATA=folder of the hand-out: all of the newest recipe, from the pictures to a table of models
	@test -n "$(DATA)" || { echo 'usage: make retrain DATA=folder; see cloud/training/README.md'; exit 2; }
	go build -tags $(TAGS) -o $(BIN)/ ./cloud/cmd/herdsim ./cloud/cmd/worker
	$(TRAIN) -m cattletrain.retrain "$(abspath $(DATA))" $(abspath $(RETRAINED)) --art $(CURDIR)/build/train \
		--worker $(abspath $(BIN))/worker --herdsim $(abspath $(BIN))/herdsim $(ARGS)
	@$(MAKE) -s evaluate PICTURES="$(abspath $(DATA))" MODELS="$(CURDIR)/cloud/model/default $$(echo $(abspath $(RETRAINED))/models/*)" >$(abspath $(RETRAINED))/table.md
	@cat $(abspath $(RETRAINED))/table.md

# Pictures of the first half of each site of empty ground train the model, those of the second half do not.
PICTURES ?= $(CURDIR)/../shared/data
evaluate: train-setup ## MODEL=folder, EVERY=1: a table of a model, the default and the COCO femto on all sets of footage
	$(TRAIN) -m cattletrain.benchmark --worker $(abspath $(BIN))/worker --every $(or $(EVERY),1) $(if $(KEEP),--keep $(KEEP)) \
		$(addprefix --model ,$(or $(MODELS),$(wildcard $(PICTURES)/../models/deimv2-femto-coco) $(CURDIR)/cloud/model/default $(abspath $(MODEL)))) \
		--set "dunes held=empty:$(PICTURES)/empty-ground/dunes_{2[2-9],3?,40}.jpg" \
		--set "works held=empty:$(PICTURES)/empty-ground/works_{2?,3?}.jpg" \
		--set "dunes seen=empty:$(PICTURES)/empty-ground/dunes_{0?,1?}.jpg" \
		--set "works seen=empty:$(PICTURES)/empty-ground/works_{0?,1[0-7]}.jpg" \
		--set "other animals held=empty:$(PICTURES)/distractors/{mounir_sheep_[24],aerial_*,awir_*,kenyanzebras_000219,kenyanzebras_0132*}.jpg" \
		--set "other animals seen=empty:$(PICTURES)/distractors/{mounir_sheep_[13],gigumay_*,kenyanzebras_000003,delplanque_*}.jpg" \
		--set "straight down held=animals:$(PICTURES)/nadir-stills/{shao_*,waid_*}.jpg:$(PICTURES)/nadir-stills/points" \
		--set "straight down seen=animals:$(PICTURES)/nadir-stills/isavill_*.jpg:$(PICTURES)/nadir-stills/points" \
		--set "straight down crowd=animals:$(PICTURES)/nadir-stills/koger_*.png:$(PICTURES)/nadir-stills/points" \
		$(foreach c,yak_paddock_1 yak_paddock_2 buffalo_pasture,--set "$(c) seen=animals:$(PICTURES)/drone-stills/images/$(c)__*.jpg:$(PICTURES)/drone-stills/points")

clean: ## remove what was built
	rm -rf build cloud/server/dashboard/dist/[!.]* cloud/server/dashboard/node_modules
