package enrol

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/edge/config"
	"cattlecounter/shared/orderkey"
	"cattlecounter/shared/wire"
)

// cloud is a server that enrols dock-1 with the code GOOD.
type cloud struct {
	key orderkey.Public

	mu     sync.Mutex
	tokens []string // that arrived
	answer func(w http.ResponseWriter) bool
}

// setAnswer replaces the answer; nil is that of a cloud.
func (c *cloud) setAnswer(answer func(w http.ResponseWriter) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = answer
}

// sent returns the tokens that arrived.
func (c *cloud) sent() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.tokens)
}

func newCloud(t *testing.T) (*cloud, string) {
	c := &cloud{key: orderkey.New().Public()}
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	return c, s.URL
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct{ Code, Token string }
	err := json.NewDecoder(r.Body).Decode(&in)
	if err != nil || r.URL.Path != "/api/v1/enrol" || r.Method != http.MethodPost {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	c.mu.Lock()
	c.tokens = append(c.tokens, in.Token)
	answer := c.answer
	c.mu.Unlock()
	if answer != nil && answer(w) {
		return
	}
	if in.Code != "GOOD" {
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(wire.Problem{Detail: "The code is wrong, used up or expired."})
		return
	}
	_ = json.NewEncoder(w).Encode(wire.Enrolment{Device: "dock-1", Site: "north", OrderKey: c.key.String(),
		MQTT: "ssl://broker.example:8883"})
}

// A station with a code alone gets a configuration that is valid.
func TestFirstEnrolment(t *testing.T) {
	c, url := newCloud(t)
	folder := t.TempDir()
	o := Options{URL: url + "/", Code: "GOOD", Config: filepath.Join(folder, "edge-agent.yaml"),
		Watch: []string{"/media/drone"}}
	must.Get(Run(t.Context(), o))(t)
	got := must.Get(config.Load(o.Config, nil))(t)
	if got.Site != "north" || got.Device != "dock-1" || got.Cloud.URL != url ||
		got.MQTT.URL != "ssl://broker.example:8883" || got.OrderKey != c.key || got.Token.Reveal() != c.sent()[0] || got.Watch.Folders[0] != "/media/drone" {
		t.Errorf("configuration %+v", got)
	}
	if got.Enrolment == "" {
		t.Error("the enrolment has no name")
	}
	for _, name := range []string{tokenName, config.EnrolledFile, config.EnrolmentFile, "edge-agent.yaml"} {
		info := must.Get(os.Stat(filepath.Join(folder, name)))(t)
		if info.Mode().Perm()&0o007 != 0 {
			t.Errorf("everybody may use %s: %v", name, info.Mode())
		}
	}
	if left := must.Get(os.ReadDir(folder))(t); len(left) != 4 {
		t.Errorf("files %v", left)
	}
}

// When the answer is lost, the next attempt sends the same token; what was in use stays until an answer comes.
func TestLostAnswer(t *testing.T) {
	c, url := newCloud(t)
	folder := t.TempDir()
	must.Do(t, os.WriteFile(filepath.Join(folder, tokenName), []byte("cc_old\n"), 0o600))
	o := Options{URL: url, Code: "GOOD", Config: filepath.Join(folder, "edge-agent.yaml"), Watch: []string{"/card"}}
	c.setAnswer(func(http.ResponseWriter) bool { panic(http.ErrAbortHandler) })
	if _, err := Run(t.Context(), o); err == nil {
		t.Fatal("enrolled without an answer")
	}
	if b := must.Get(os.ReadFile(filepath.Join(folder, tokenName)))(t); string(b) != "cc_old\n" {
		t.Errorf("the token in use is now %q", b)
	}
	c.setAnswer(nil)
	must.Get(Run(t.Context(), o))(t)
	tokens := c.sent()
	if len(tokens) < 2 || tokens[0] != tokens[len(tokens)-1] {
		t.Errorf("%d attempts with tokens %v", len(tokens), tokens)
	}
	o.Watch = nil
	first := must.Get(config.Load(o.Config, nil))(t)
	must.Get(Run(t.Context(), o))(t)
	if again := must.Get(config.Load(o.Config, nil))(t); again.OrderKey != first.OrderKey || again.Enrolment == first.Enrolment {
		t.Errorf("a second enrolment is %s like the first", again.Enrolment)
	}
	if tokens = c.sent(); tokens[len(tokens)-1] == tokens[0] {
		t.Error("a second enrolment has the token of the first")
	}
}

func TestRefusedEnrolments(t *testing.T) {
	text := func(status int, body string) func(http.ResponseWriter) bool {
		return func(w http.ResponseWriter) bool {
			w.Header().Set("Location", "http://login.example/")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	for name, c := range map[string]struct {
		change func(*Options)
		answer func(http.ResponseWriter) bool
		want   string
	}{
		"wrong code":        {func(o *Options) { o.Code = "BAD" }, nil, "wrong, used up or expired"},
		"guest network":     {nil, text(302, ""), "log in first on a guest network"},
		"another server":    {nil, text(404, "<html>"), "HTTP 404 and not one of the cloud"},
		"another page":      {nil, text(200, "<html>"), "check the address"},
		"no key":            {nil, text(200, `{"site":"north","device":"dock-1"}`), "update the cloud"},
		"damaged key":       {nil, text(200, `{"site":"north","device":"dock-1","order_key":"x"}`), "the answer has no key"},
		"no name":           {nil, text(200, `{"order_key":"x"}`), "the answer has no name"},
		"in the clear":      {func(o *Options) { o.URL = "http://cloud.example" }, nil, "without TLS"},
		"no address":        {func(o *Options) { o.URL = "cloud" }, nil, "is not a URL"},
		"no configuration":  {func(o *Options) { o.Watch = nil }, nil, "--watch /media/drone"},
		"no folder":         {func(o *Options) { o.Config = "/does/not/exist/edge-agent.yaml" }, nil, "cannot write into"},
		"no authority file": {func(o *Options) { o.CAFile = "/does/not/exist" }, nil, "certificate authority"},
	} {
		t.Run(name, func(t *testing.T) {
			s, url := newCloud(t)
			s.setAnswer(c.answer)
			o := Options{URL: url, Code: "GOOD", Config: filepath.Join(t.TempDir(), "edge-agent.yaml"),
				Watch: []string{"/card"}}
			if c.change != nil {
				c.change(&o)
			}
			_, err := Run(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), tokenPrefix) {
				t.Errorf("the error shows a token: %v", err)
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(o.Config), config.EnrolledFile)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("an identity was written: %v", err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"device":"dock-1","site":"north","order_key":"` + orderkey.New().Public().String() + `","mqtt":"ssl://b:1"}`))
	f.Add([]byte(`{"device":"a/b"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parse(b)
		if err != nil {
			return
		}
		id := identity(Options{URL: "https://cloud.example"}, got, "/etc/cattlecounter/token")
		if id.OrderKey.IsZero() || id.Site == "" || id.Device == "" {
			t.Errorf("identity %+v of %q", id, b)
		}
		if _, err := id.Text(); err != nil {
			t.Errorf("identity %+v: %v", id, err)
		}
	})
}
