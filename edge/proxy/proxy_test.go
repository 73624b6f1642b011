package proxy

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"cattlecounter/shared/secret"
)

func TestFunc(t *testing.T) {
	for setting, want := range map[string]string{
		"http://proxy:3128":          "http://proxy:3128",
		"https://u:p@proxy.example/": "https://u:p@proxy.example/",
		"socks5h://[::1]:1080":       "socks5h://[::1]:1080",
		None:                         "",
	} {
		f, err := Func(secret.New(setting))
		if err != nil {
			t.Errorf("%s: %v", setting, err)
			continue
		}
		if f == nil {
			if want != "" {
				t.Errorf("%s: direct", setting)
			}
			continue
		}
		if u, err := f(&http.Request{URL: &url.URL{Scheme: "https", Host: "cloud"}}); err != nil || u.String() != want {
			t.Errorf("%s: %s %v", setting, u, err)
		}
	}
	if f, err := Func(secret.String{}); err != nil || f == nil {
		t.Error("the environment is not read", err)
	}
	for _, setting := range []string{"proxy:3128", "ftp://proxy", "http://", "http://:3128", "http://u:hush@proxy/path",
		"http://u:hush@pro xy", "http://u:hush%zz@proxy", "off"} {
		if _, err := Func(secret.New(setting)); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", setting, err)
		}
	}
}

func FuzzFunc(f *testing.F) {
	f.Add("http://u:hush@proxy:3128")
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := Func(secret.New(s)); err != nil && err.Error() != errSetting.Error() {
			t.Fatal(err)
		}
	})
}
