package systemd

import (
	"slices"
	"strings"
	"testing"
	"time"

	cloud "cattlecounter/cloud/config"
	"cattlecounter/shared/settings"
)

// TestCloudUnits checks what the two units of the cloud share, and that they set keys which exist.
func TestCloudUnits(t *testing.T) {
	var variables []string
	for _, k := range settings.Keys(new(cloud.Config)) {
		variables = append(variables, settings.EnvName(cloud.EnvPrefix, k))
	}
	for _, file := range []string{apiUnit, workerUnit} {
		u := unit(t, file)
		for key, want := range map[string]string{
			"User": "cattlecounter-cloud", "StateDirectory": "cattlecounter-cloud", "CapabilityBoundingSet": "",
			"ProtectSystem": "strict", "ConditionPathExists": "/etc/cattlecounter/cloud.yaml", "NoNewPrivileges": "yes",
		} {
			if got := u[key]; len(got) != 1 || got[0] != want {
				t.Errorf("%s: %s=%q, want %q", file, key, got, want)
			}
		}
		for _, e := range u["Environment"] {
			if name, _, _ := strings.Cut(e, "="); !slices.Contains(variables, name) {
				t.Errorf("%s: no program reads %s", file, name)
			}
		}
		if !strings.Contains(u["ExecStart"][0], " --config "+u["ConditionPathExists"][0]) {
			t.Errorf("%s starts %q", file, u["ExecStart"])
		}
	}
}

// TestWorkerDrains checks that systemd lets a worker finish its job, and its decoder too.
func TestWorkerDrains(t *testing.T) {
	u := unit(t, workerUnit)
	stop, err := time.ParseDuration(strings.Replace(u["TimeoutStopSec"][0], "min", "m", 1))
	if err != nil || stop <= 20*time.Minute || u["KillMode"][0] != "mixed" {
		t.Errorf("TimeoutStopSec=%q KillMode=%q: %v", u["TimeoutStopSec"], u["KillMode"], err)
	}
	if !slices.ContainsFunc(u["SystemCallFilter"], func(f string) bool { return strings.HasPrefix(f, "seccomp landlock_") }) {
		t.Error("the unit forbids the decoder to isolate itself")
	}
}
