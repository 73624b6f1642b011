# CattleCounter. `make help` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help

TAGS := gocv_specific_modules,gocv_videoio
BIN := build/bin
export ONNXRUNTIME_LIB ?= $(CURDIR)/build/onnxruntime/libonnxruntime.so.1
GO_TEST := go test -tags $(TAGS)

# Of programs and packages; grows with every commit.
VERSION ?= 0.1.$(shell git rev-list --count HEAD)
# A clock before it is wrong for certain.
COMMITTED ?= $(shell git log -1 --format=%cI)

TRAIN := cd cloud/training && $(CURDIR)/build/train/venv/bin/python

.PHONY: help setup demo test check lint build cross deb bench fuzz e2e faults conformance train-setup train-test finetune clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: ## install what building and running needs (Debian packages, ONNX Runtime, the page)
	@deploy/setup/setup.sh build

build: setup ## build the programs into build/bin
	@mkdir -p $(BIN)
	CGO_ENABLED=0 go build -o $(BIN)/ ./edge/cmd/edge-agent ./cloud/cmd/cloud-api ./deploy/allinone/cmd/allinone
	go build -tags $(TAGS) -o $(BIN)/ ./cloud/cmd/worker ./cloud/cmd/herdsim

# FOOTAGE=file of your own, MODEL=file, folder or name of a pulled model, ONCE=1 ends when the count is there.
demo: build ## count a clip from drone card to web page on this machine
	@$(BIN)/allinone --bin $(BIN) --data build/demo --fresh \
		$(if $(FOOTAGE),--footage "$(FOOTAGE)") $(if $(MODEL),--model "$(MODEL)") $(if $(ONCE),--once)

test: ## set up, then run every test: unit, race, contracts, end to end
	@deploy/setup/setup.sh test
	CATTLE_BROWSER=required $(GO_TEST) -race -timeout 15m ./edge/... ./shared/... ./cloud/... ./deploy/testkit/... ./deploy/proof/...
	$(GO_TEST) -count=1 -parallel 8 -timeout 15m $$(go list -tags $(TAGS) ./deploy/... | grep -vE '/deploy/(testkit|proof)') # the tests of faults wait more than they compute
	CGO_ENABLED=0 GOARCH=386 go test -short -timeout 10m ./edge/spool # the addresses of a 32-bit board
	@$(MAKE) --no-print-directory train-test

e2e: ## the end-to-end tests alone
	@deploy/setup/setup.sh test
	$(GO_TEST) -count=1 -parallel 8 -v -timeout 15m ./deploy/e2e/...

faults: ## the tests of bad links with larger files, some minutes; prints the table of firmware-notes/modem.md
	@deploy/setup/setup.sh test
	@rm -f build/faults.md
	FAULTS=long FAULTS_REPORT=$(CURDIR)/build/faults.md $(GO_TEST) -count=1 -parallel 16 -timeout 30m -run TestFaults ./deploy/e2e
	@cat build/faults.md

# ARGS are further arguments, such as --json or --digest sha256; a header such as "Authorization: Bearer TOKEN" can be in TUS_HEADER.
conformance: ## URL=http://host/files/: does a server keep to tus 1.0? One for tests: it gets uploads
	@test -n "$(URL)" || { echo 'say make conformance URL=http://127.0.0.1:8080/files/; go run ./deploy/conformance/tus/cmd/tus-conformance --help tells more'; exit 2; }
	@go run ./deploy/conformance/tus/cmd/tus-conformance "$(URL)" $(ARGS)

check: cross ## what must hold before a commit: format, vet, lint, tidy, cross-builds
	@deploy/setup/setup.sh lint
	@test -z "$$(gofmt -l edge cloud shared deploy | tee /dev/stderr)" || { echo 'run gofmt -w on these files'; exit 1; }
	go vet -tags $(TAGS) ./...
	go mod tidy -diff
	build/tools/golangci-lint run --build-tags $(TAGS)

cross: ## build edge-agent and cloud-api for every board, without cgo
	@mkdir -p build/cross
	@for t in amd64: arm64: arm:7; do a=$${t%%:*}; v=$${t##*:}; \
		echo "edge-agent linux/$$a$${v:+v$$v}"; \
		CGO_ENABLED=0 GOOS=linux GOARCH=$$a GOARM=$$v go build -trimpath -ldflags '-s -w -X cattlecounter/shared/version.number=$(VERSION) -X cattlecounter/edge/clock.committed=$(COMMITTED)' -o build/cross/edge-agent-$$a$${v:+v$$v} ./edge/cmd/edge-agent || exit 1; done
	CGO_ENABLED=0 GOOS=linux GOARCH=arm64 go build -o /dev/null ./cloud/cmd/cloud-api

deb: cross ## build Debian packages of edge-agent for every board into build/deb
	@VERSION='$(VERSION)' deploy/packaging/deb.sh

bench: setup ## measure: worker against bare ONNX Runtime, upload against a plain copy
	@deploy/bench/bench.sh

fuzz: ## run every fuzz target for a while (FUZZTIME=30s each)
	@for p in $$(go list -tags $(TAGS) ./...); do \
		for f in $$($(GO_TEST) -list '^Fuzz' $$p 2>/dev/null | grep '^Fuzz'); do \
			echo "$$p $$f"; $(GO_TEST) -run '^$$' -fuzz "^$$f\$$" -fuzztime $(or $(FUZZTIME),30s) $$p || exit 1; done; done

train-setup: ## install what training the detector needs (about 6 GB, in build/train)
	@deploy/setup/setup.sh train

train-test: train-setup ## test the training code: data, a few steps, export, fine-tuning
	$(TRAIN) -m ruff check .
	$(TRAIN) -m pytest -q tests

finetune: train-setup ## DATA=COCO folder, OUT=model folder, MINUTES=60: a model for your own herd
	@test -n "$(DATA)" -a -n "$(OUT)" || { echo 'say make finetune DATA=folder OUT=folder; see cloud/training/README.md'; exit 2; }
	$(TRAIN) -m cattletrain.finetune "$(abspath $(DATA))" "$(abspath $(OUT))" --minutes $(or $(MINUTES),60)

clean: ## remove what was built
	rm -rf build cloud/server/dashboard/dist/[!.]* cloud/server/dashboard/node_modules
