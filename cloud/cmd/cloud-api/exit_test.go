package main

import (
	"bytes"
	"testing"
)

func TestExitCodes(t *testing.T) {
	environ := []string{"CATTLE_CLOUD_DATA=" + t.TempDir()}
	for _, c := range []struct {
		want int
		args []string
		env  string
	}{
		{exitOK, []string{"--help"}, ""},
		{exitOK, []string{"version"}, ""},
		{exitOK, []string{"--version"}, ""},
		{exitOK, []string{"device", "list"}, ""},
		{exitOK, []string{"device", "list", "--json"}, ""},
		{exitUsage, []string{"device", "list", "--yaml"}, ""},
		{exitUsage, []string{"job", "list", "--state", "asleep"}, ""},
		{exitUsage, []string{"job", "list", "--limit", "0"}, ""},
		{exitUsage, []string{"audit", "--limit", "0"}, ""},
		{exitUsage, []string{"--config", "/does/not/exist", "serve"}, ""},
		{exitFailed, []string{"ledger", "restore", "/does/not/exist"}, ""},
		{exitUsage, nil, ""},
		{exitUsage, []string{"fly"}, ""},
		{exitUsage, []string{"config", "check"}, "CATTLE_CLOUD_WORKER_THREADS=many"},
		{exitUsage, []string{"config", "check"}, "CATTLE_CLOUD_NOPE=1"},
		{exitUsage, []string{"device", "add", "a/b", "--site", "x"}, ""},
		{exitUsage, []string{"broker"}, ""},
		{exitNotFound, []string{"device", "revoke", "missing"}, ""},
		{exitNotFound, []string{"device", "renew", "missing"}, ""},
		{exitNotFound, []string{"job", "retry", "nope"}, ""},
		{exitFailed, []string{"device", "list"}, "CATTLE_CLOUD_DATA=/proc/nowhere"},
	} {
		var out, errs bytes.Buffer
		if got := run(t.Context(), c.args, append(environ, c.env), &out, &errs); got != c.want {
			t.Errorf("%v %s: exit code %d, want %d\n%s", c.args, c.env, got, c.want, errs.String())
		}
	}
}
