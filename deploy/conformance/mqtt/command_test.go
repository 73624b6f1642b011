package mqtt

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/conformance/finding"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/topic"
)

func TestCommand(t *testing.T) {
	t.Parallel()
	o := startCloud(t).o
	var out bytes.Buffer
	c := Command{URL: o.URL, API: o.API, Admin: o.Admin, Site: site, Only: []string{"read-own-sites", "restart-keeps-times"}, Patience: time.Minute}
	ok, err := c.Run(t.Context(), &out)
	if text := out.String(); !ok || err != nil || !strings.Contains(text, "1 passed, 0 failed, 0 warnings, 1 skipped") || !strings.Contains(text, "--restart") {
		t.Errorf("%v %v\n%s", ok, err, text)
	}
	out.Reset()
	c.JSON, c.Only = true, c.Only[:1]
	ok, err = c.Run(t.Context(), &out)
	var fs []finding.Finding
	want := finding.Finding{Name: "read-own-sites", Section: whoMay, Level: finding.Must, Result: finding.Pass}
	if e := json.Unmarshal(out.Bytes(), &fs); !ok || errors.Join(err, e) != nil || len(fs) != 1 || fs[0] != want {
		t.Errorf("%v %v\n%s", ok, err, &out)
	}
}

func TestWrongUse(t *testing.T) {
	const at = "mqtt://127.0.0.1:1"
	token := secret.New("hidden")
	for name, c := range map[string]struct {
		command Command
		class   error
	}{
		"no address":     {Command{URL: "broker", Reader: "eye", Token: token}, ErrOptions},
		"scheme":         {Command{URL: "http://127.0.0.1/", Reader: "eye", Token: token}, ErrOptions},
		"no account":     {Command{URL: at}, ErrOptions},
		"no token":       {Command{URL: at, Reader: "eye"}, ErrOptions},
		"admin alone":    {Command{URL: at, Admin: token}, ErrOptions},
		"address of API": {Command{URL: at, API: "ftp://127.0.0.1", Admin: token}, ErrOptions},
		"authorities":    {Command{URL: at, Reader: "eye", Token: token, CA: "doc.go"}, ErrOptions},
		"check":          {Command{URL: at, Reader: "eye", Token: token, Only: []string{"nothing"}}, ErrOptions},
		"no broker":      {Command{URL: at, Reader: "eye", Token: token, Patience: time.Minute}, ErrNoServer},
		"no API":         {Command{URL: at, API: "http://127.0.0.1:1", Admin: token, Patience: time.Minute}, ErrNoServer},
	} {
		t.Run(name, func(t *testing.T) {
			ok, err := c.command.Run(t.Context(), new(bytes.Buffer))
			if ok || !errors.Is(err, c.class) || strings.Contains(err.Error(), "hidden") {
				t.Errorf("%v %v", ok, err)
			}
		})
	}
}

// A contract and a message from outside are read without a panic.
func FuzzContract(f *testing.F) {
	f.Add(topic.AsyncAPI, "cattle/v1/north/counts/x", []byte(`{"v":1}`))
	f.Add([]byte("channels: {x: {address: 'a/{b}/*'}}\ncomponents: {schemas: {x: {type: [integer, 'null'], enum: [1, x]}}}"), "a/b/*", []byte("7"))
	f.Add([]byte("channels: {x: 1}"), "", []byte("\xff"))
	f.Add(must.Get(os.ReadFile("version1.txt"))(f), "a", []byte("{"))
	f.Fuzz(func(t *testing.T, document []byte, name string, payload []byte) {
		c, err := parseContract(document)
		if err != nil {
			if !errors.Is(err, errContract) {
				t.Fatal(err)
			}
			return
		}
		if err := c.check(name, payload); err == nil && c.kind(name) == "" {
			t.Fatalf("%q is no topic and fits", name)
		}
	})
}
