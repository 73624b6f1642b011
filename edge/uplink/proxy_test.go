package uplink

import (
	"bytes"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cattlecounter/deploy/testkit/fakecloud"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/secret"
)

// connectProxy is an HTTP proxy with a password that tunnels connections.
type connectProxy struct {
	login   string
	tunnels atomic.Int64
	wg      sync.WaitGroup
}

func (p *connectProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	login := &http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}
	if user, pass, _ := login.BasicAuth(); user+":"+pass != p.login {
		w.Header().Set("Proxy-Authenticate", "Basic")
		http.Error(w, "password required", http.StatusProxyAuthRequired)
		return
	}
	if r.Method != http.MethodConnect {
		http.Error(w, "tunnels only", http.StatusMethodNotAllowed)
		return
	}
	p.tunnels.Add(1)
	to, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	from, early, err := http.NewResponseController(w).Hijack()
	if err != nil {
		to.Close()
		return
	}
	p.wg.Add(2)
	pipe := func(a net.Conn, b io.Reader) {
		defer p.wg.Done()
		_, _ = io.Copy(a, b)
		to.Close()
		from.Close()
	}
	go pipe(to, early) // the server may have read the first bytes already
	go pipe(from, to)
}

// An upload goes through a CONNECT proxy with a password to a cloud with a private authority.
// The password is in no log and no error.
func TestProxyAndPrivateAuthority(t *testing.T) {
	cloud := fakecloud.New(token)
	srv := httptest.NewTLSServer(cloud)
	t.Cleanup(srv.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}),
		0o600); err != nil {
		t.Fatal(err)
	}
	p := &connectProxy{login: "dock:hush"}
	via := httptest.NewServer(p)
	t.Cleanup(func() { via.Close(); p.wg.Wait() })
	for name, c := range map[string]struct {
		proxy, ca string
		want      string // in the reason to wait, "" for success
		tunnels   bool
	}{
		"through": {strings.Replace(via.URL, "://", "://dock:hush@", 1), ca, "", true},
		"direct":  {"none", ca, "", false},
		"wrong password": {strings.Replace(via.URL, "://", "://dock:hush2@", 1), ca, "Proxy Authentication Required",
			false},
		"unknown authority": {strings.Replace(via.URL, "://", "://dock:hush@", 1), "", "set cloud.ca_file", true},
		"no proxy":          {"http://dock:hush@127.0.0.1:1", ca, "proxyconnect", false},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			before := p.tunnels.Load()
			st := build(t, cloud, CloudOptions{URL: srv.URL, CAFile: c.ca, Proxy: secret.New(c.proxy)},
				[]func(*CloudOptions, *Options){
					func(_ *CloudOptions, o *Options) {
						o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
					}})
			r := st.add("p.mp4", 5<<20, false)
			err := st.up.transfer(t.Context(), r)
			if err != nil {
				st.up.handleResult(t.Context(), r, err)
			}
			rec := st.record(r.ID)
			if (rec.State == spool.Reclaimed) != (c.want == "") || !strings.Contains(rec.Waiting, c.want) {
				t.Errorf("got record %+v", rec)
			}
			if (p.tunnels.Load() > before) != c.tunnels {
				t.Errorf("%d tunnels", p.tunnels.Load()-before)
			}
			if text := log.String() + rec.Waiting; strings.Contains(text, "hush") {
				t.Errorf("the password is shown: %s", text)
			}
		})
	}
}
