package clock

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

// noon is a plausible time, whenever this program is built.
func noon() time.Time { return Built().Add(36 * time.Hour) }

func TestBuilt(t *testing.T) {
	for commit, want := range map[string]time.Time{
		"":                          earliest,
		"2027-03-02T17:14:12+02:00": time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC),
		"1970-01-01T00:00:00Z":      earliest,
		"soon":                      earliest,
	} {
		if got := builtFrom(commit); !got.Equal(want) {
			t.Errorf("%q: %s", commit, got)
		}
	}
	info := &debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs", Value: "git"},
		{Key: "vcs.time", Value: "2027-03-02T17:14:12Z"}}}
	if got := commitOf(info); got != "2027-03-02T17:14:12Z" || commitOf(nil) != "" || commitOf(&debug.BuildInfo{}) != "" {
		t.Error(got)
	}
	// Set by the linker in `make cross`.
	if committed != "" && Built() != builtFrom(committed) {
		t.Errorf("built on %s of commit %s", Built(), committed)
	}
	if time.Now().Before(Built()) {
		t.Errorf("built on %s, which is in the future", Built())
	}
}

func TestParseDate(t *testing.T) {
	at := time.Now()
	text := noon().Format("Mon, 02 Jan 2006 15:04:05 GMT")
	h, err := ParseDate(text, 3*time.Second, at)
	if want := (Hint{Date, TheServer, noon().Add(2 * time.Second), 2 * time.Second, at}); err != nil || h != want {
		t.Errorf("%+v %v, want %+v", h, err, want)
	}
	for bad, is := range map[string]error{"": nil, "soon": nil, strings.Repeat("x", 65): nil,
		noon().Format(time.RFC3339):     nil,
		"Thu, 01 Jan 1970 00:00:00 GMT": ErrImplausible, "Thu, 01 Jan 2970 00:00:00 GMT": ErrImplausible} {
		if h, err := ParseDate(bad, 0, at); err == nil || is != nil && !errors.Is(err, is) {
			t.Errorf("%q: %+v %v", bad, h, err)
		}
	}
}

func FuzzParseDate(f *testing.F) {
	f.Add("Tue, 24 Nov 2026 12:00:00 GMT", int64(time.Second))
	f.Add("Tuesday, 24-Nov-26 12:00:00 GMT", int64(-1))
	f.Add("Tue Nov 24 12:00:00 2026", int64(0))
	f.Fuzz(func(t *testing.T, header string, took int64) {
		if h, err := ParseDate(header, time.Duration(took), time.Now()); err == nil {
			checkHint(t, h)
		}
	})
}

// checkHint checks what holds for every hint.
func checkHint(t *testing.T, h Hint) {
	t.Helper()
	if !plausible(h.Time) || h.Uncertainty < 0 || h.From == "" {
		t.Fatalf("%+v", h)
	}
}

func tpv(at time.Time) string {
	return `{"class":"TPV","device":"/dev/ttyS0","mode":3,"time":"` + at.Format("2006-01-02T15:04:05.000Z") + `","ept":0.005,"lat":1.5}` + "\r\n"
}

const hello = `{"class":"VERSION","release":"3.25","rev":"3.25","proto_major":3,"proto_minor":15}` + "\r\n" +
	`{"class":"SKY","time":5,"mode":"x","satellites":[]}` + "\r\n"

// replay is a connection that sends one text and ends.
type replay struct {
	io.Reader
	received bytes.Buffer
}

func (r *replay) Write(b []byte) (int, error) { return r.received.Write(b) }

func TestReceiver(t *testing.T) {
	const noFix = `{"class":"TPV","mode":1,"time":"2026-11-24T12:00:00.000Z"}` + "\r\n"
	for name, c := range map[string]struct {
		text string
		want error // nil: noon
	}{
		"fix":                     {hello + noFix + tpv(noon()), nil},
		"no fix":                  {hello + noFix + noFix, ErrNoFix},
		"fix without a time":      {`{"class":"TPV","mode":2}` + "\n", ErrNoFix},
		"week counter overflowed": {tpv(noon().AddDate(0, 0, -7*1024)), ErrImplausible},
		"silent":                  {"", ErrNotGPSD},
		"something else":          {"HTTP/1.1 400 Bad Request\r\n", ErrNotGPSD},
		"no class":                {`{"mode":3}` + "\n", ErrNotGPSD},
		"malformed time":          {`{"class":"TPV","mode":3,"time":1264}` + "\n", ErrNotGPSD},
		"long line":               {`{"class":"` + strings.Repeat("x", maxLine) + "\n", ErrNotGPSD},
		"endless":                 {strings.Repeat(noFix, 2*maxReports/len(noFix)) + tpv(noon()), ErrNotGPSD},
	} {
		conn := &replay{Reader: strings.NewReader(c.text)}
		h, err := askGPSD(conn)
		if name == "endless" && errors.Is(err, ErrNoFix) {
			c.want = ErrNoFix // the last line may be cut anywhere
		}
		if c.want == nil && (err != nil || !h.Time.Equal(noon()) || h.Uncertainty != fixAge+5*time.Millisecond ||
			h.Source != GNSS) || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %+v %v", name, h, err)
		}
		if conn.received.String() != gpsdWatch {
			t.Errorf("%s: asked %q", name, conn.received.String())
		}
	}
}

func FuzzReceiver(f *testing.F) {
	f.Add([]byte(hello + tpv(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))))
	f.Add([]byte(`{"class":"TPV","mode":3,"time":"9999-12-31T23:59:59Z","ept":1e300}`))
	f.Add([]byte(`{"class":"TPV","mode":3,"time":"0000-01-01T00:00:00Z","ept":-1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := askGPSD(&replay{Reader: bytes.NewReader(b)})
		if err == nil {
			checkHint(t, h)
			if h.Uncertainty > fixAge+maxError {
				t.Fatal(h.Uncertainty)
			}
		}
	})
}

// One connection over a socket ends with a fix, another without.
func TestAskGPSD(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	over := make(chan struct{})
	go func() {
		defer close(over)
		for _, text := range []string{hello + tpv(noon()), hello} {
			c, err := l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(c, text)
			_, _ = io.Copy(io.Discard, c) // until the client disconnects
			_ = c.Close()
		}
	}()
	if h, err := AskGPSD(t.Context(), l.Addr().String()); err != nil || !h.Time.Equal(noon()) {
		t.Errorf("%+v %v", h, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if h, err := AskGPSD(ctx, l.Addr().String()); err == nil {
		t.Errorf("%+v", h)
	}
	<-over
	l.Close()
	if _, err := AskGPSD(t.Context(), l.Addr().String()); err == nil {
		t.Error("no error from a closed port")
	}
}

// packet is a time server's answer with the time t (RFC 5905 section 7.3). wire fills
// in the origin timestamp.
func packet(t time.Time) []byte {
	b := make([]byte, 48)
	b[0], b[1], b[2], b[3] = 4<<3|4, 2, 6, 0xec // version 4, mode server, stratum 2
	binary.BigEndian.PutUint32(b[4:], 1<<14)    // root delay 250 ms
	binary.BigEndian.PutUint32(b[8:], 1<<13)    // root dispersion 125 ms
	stamp := uint64(t.Unix()+2208988800) << 32
	binary.BigEndian.PutUint64(b[16:], stamp-1<<32)
	binary.BigEndian.PutUint64(b[32:], stamp)
	binary.BigEndian.PutUint64(b[40:], stamp)
	return b
}

// wire is a connection to a time server that always gives the same answer.
type wire struct {
	net.Conn
	answer []byte
	origin []byte
}

func (w *wire) Write(b []byte) (int, error) {
	w.origin = bytes.Clone(b[40:48])
	return len(b), nil
}

func (w *wire) Read(b []byte) (int, error) {
	n := copy(b, w.answer)
	if n >= 32 {
		copy(b[24:32], w.origin)
	}
	return n, nil
}

func (w *wire) SetDeadline(time.Time) error { return nil }
func (w *wire) Close() error                { return nil }

func answering(b []byte) dialer {
	return func(context.Context, string, string) (net.Conn, error) { return &wire{answer: b}, nil }
}

func TestNTP(t *testing.T) {
	h, err := askNTP(t.Context(), "time.example", answering(packet(noon())))
	if off := h.Time.Sub(noon()); err != nil || off < 0 || off > h.Uncertainty || h.Uncertainty < 250*time.Millisecond ||
		h.From != "time.example" || h.Source != NTP {
		t.Errorf("%+v %v", h, err)
	}
	kiss := packet(noon())
	kiss[1] = 0
	copy(kiss[12:], "RATE")
	unsynced := packet(noon())
	unsynced[0] |= 3 << 6
	far := packet(noon())
	binary.BigEndian.PutUint32(far[8:], 60<<16)
	for name, c := range map[string]struct {
		answer []byte
		want   error
	}{
		"refused": {kiss, ErrRefused}, "not synced itself": {unsynced, nil}, "no root": {far, nil},
		"short": {packet(noon())[:40], nil}, "empty": {nil, nil},
		"1980": {packet(time.Date(1980, 1, 6, 0, 0, 0, 0, time.UTC)), ErrImplausible},
	} {
		if h, err := askNTP(t.Context(), "time.example", answering(c.answer)); err == nil || c.want != nil &&
			!errors.Is(err, c.want) {
			t.Errorf("%s: %+v %v", name, h, err)
		}
	}
	noNetwork := func(context.Context, string, string) (net.Conn, error) { return nil, os.ErrNotExist }
	if _, err := askNTP(t.Context(), "time.example", noNetwork); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// A query ends with its context when the server does not answer.
func TestSilentNTP(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := AskNTP(ctx, c.LocalAddr().String()); err == nil || time.Since(began) > ntpLimit {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}

func FuzzNTP(f *testing.F) {
	f.Add(packet(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)))
	f.Add(make([]byte, 48))
	f.Add([]byte{})
	for _, at := range []int{2, 3} {
		b := packet(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
		b[at] = 0x80
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := askNTP(t.Context(), "time.example", answering(b)); err == nil {
			checkHint(t, h)
		}
	})
}
