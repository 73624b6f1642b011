package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/topic"
)

const (
	fanJobs    = 200
	fanWorkers = 4 // ledgers of their own, as processes have
	fanSeconds = 10
)

// fan has jobs whose progress is written once a second, and the times of the writes.
type fan struct {
	b     *testing.B
	jobs  []ledger.Job
	owner []*ledger.Ledger
	index map[string]int // of a job's id

	mu    sync.Mutex
	began [fanJobs][fanSeconds]time.Time // the worker's call, by job and second
}

func newFan(b *testing.B, r *running) *fan {
	f := &fan{b: b, index: map[string]int{}}
	for range fanWorkers {
		l, err := OpenLedger(b.Context(), r.cfg)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = l.Close() })
		f.owner = append(f.owner, l)
	}
	for i := range fanJobs {
		l := f.owner[i%fanWorkers]
		rec := r.record(string(footage.NewID(time.Now())))
		if err := l.Jobs.MarkQueued(b.Context(), rec.Job.ID); err != nil {
			b.Fatal(err)
		}
		j, _, err := l.Attempts.Begin(b.Context(), rec.Job.ID, "w")
		if err != nil {
			b.Fatal(err)
		}
		f.index[j.ID] = len(f.jobs)
		f.jobs = append(f.jobs, j)
	}
	return f
}

// work writes progress as many workers do, spread over the second.
func (f *fan) work() {
	var all sync.WaitGroup
	for i, j := range f.jobs {
		all.Go(func() {
			<-time.After(time.Duration(rand.Int64N(int64(time.Second))))
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for n := range fanSeconds {
				f.mu.Lock()
				f.began[i][n] = time.Now()
				f.mu.Unlock()
				if _, err := f.owner[i%fanWorkers].Attempts.UpdateProgress(f.b.Context(), j.ID, j.Fence,
					job.Progress{FramesDone: n, FramesTotal: fanSeconds}); err != nil {
					f.b.Error(err)
				}
				<-tick.C
			}
		})
	}
	all.Wait()
}

// ears records when a subscriber got each write, or a later one of the same job.
type ears struct {
	f    *fan
	mu   sync.Mutex
	next [fanJobs]int // the write of each job that is waited for
	took []time.Duration
	all  chan struct{} // closed when everything was heard
}

func (f *fan) listener() *ears { return &ears{f: f, all: make(chan struct{})} }

func (e *ears) heard(id string, n int) {
	at := time.Now()
	i, ok := e.f.index[id]
	if !ok {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.f.mu.Lock()
	defer e.f.mu.Unlock()
	for ; e.next[i] <= n && !e.f.began[i][e.next[i]].IsZero(); e.next[i]++ {
		e.took = append(e.took, at.Sub(e.f.began[i][e.next[i]]))
		if e.next[i] == fanSeconds-1 {
			n = -1 // the last one
		}
	}
	if len(e.took) == fanJobs*fanSeconds {
		select {
		case <-e.all:
		default:
			close(e.all)
		}
	}
}

// report waits for the last message and reports the delays.
func (e *ears) report(name string) {
	select {
	case <-e.all:
	case <-time.After(time.Minute):
		e.f.b.Errorf("%s: messages are missing", name)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	slices.Sort(e.took)
	if n := len(e.took); n > 0 {
		e.f.b.ReportMetric(float64(e.took[n/2].Milliseconds()), name+"-p50-ms")
		e.f.b.ReportMetric(float64(e.took[n*99/100].Milliseconds()), name+"-p99-ms")
		e.f.b.ReportMetric(float64(e.took[n-1].Milliseconds()), name+"-max-ms")
	}
}

func (e *ears) mqtt(r *running, token string) {
	c := subscriber(e.f.b, r, token, "listening", nil, func(_ mqtt.Client, m mqtt.Message) {
		var j topic.Job
		if err := json.Unmarshal(m.Payload(), &j); err == nil {
			e.heard(j.Job, j.FramesDone)
		}
	})
	e.f.b.Cleanup(func() { c.Disconnect(50) })
}

func subscriber(b *testing.B, r *running, token, client string, dial mqtt.OpenConnectionFunc,
	h mqtt.MessageHandler) mqtt.Client {
	o := mqtt.NewClientOptions().AddBroker(r.at.Broker).SetClientID(client).SetUsername("anywho").SetPassword(token).
		SetAutoReconnect(false)
	if dial != nil {
		o.SetCustomOpenConnectionFn(dial)
	}
	c := mqtt.NewClient(o)
	for _, t := range []func() mqtt.Token{c.Connect, func() mqtt.Token { return c.Subscribe("cattle/v1/#", 1, h) }} {
		if tok := t(); !tok.WaitTimeout(time.Minute) || tok.Error() != nil {
			b.Fatal("subscribe: ", tok.Error())
		}
	}
	return c
}

func (e *ears) sse(ctx context.Context, r *running) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.at.HTTP+"/api/v1/events", nil)
	if err != nil {
		e.f.b.Fatal(err)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		e.f.b.Fatal(err)
	}
	lines := bufio.NewScanner(resp.Body)
	ready := make(chan struct{})
	go func() {
		defer resp.Body.Close()
		event := ""
		for lines.Scan() {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				if event = name; event == "ready" {
					close(ready)
				}
			}
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && event == "job" {
				var j struct {
					ID         string `json:"id"`
					FramesDone int    `json:"frames_done"`
				}
				if err := json.Unmarshal([]byte(data), &j); err == nil {
					e.heard(j.ID, j.FramesDone)
				}
			}
		}
	}()
	<-ready
}

// stalled is a connection that is no longer read from some time on.
type stalled struct {
	net.Conn
	now atomic.Bool
	end chan struct{}
}

func (s *stalled) Read(b []byte) (int, error) {
	if s.now.Load() {
		<-s.end
	}
	return s.Conn.Read(b)
}

// stall adds subscribers that do not read their messages.
func stall(b *testing.B, r *running, token string) {
	for i := range 5 {
		s := &stalled{end: make(chan struct{})}
		c := subscriber(b, r, token, fmt.Sprint("stalled-", i), func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
			conn, err := net.Dial("tcp", u.Host)
			s.Conn = conn
			return s, err
		}, func(mqtt.Client, mqtt.Message) {})
		s.now.Store(true)
		b.Cleanup(func() {
			close(s.end)
			_ = s.Conn.Close()
			c.Disconnect(50)
		})
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.at.HTTP, "http://"))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conn.Close() })
		if _, err := fmt.Fprint(conn, "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFanOut measures the delay from a worker's write to a subscriber, with 200
// running jobs that each report progress every second.
func BenchmarkFanOut(b *testing.B) {
	for _, beside := range []string{"alone", "beside stalled subscribers"} {
		b.Run(beside, func(b *testing.B) {
			for b.Loop() {
				r := serve(b, nil)
				token := r.addDevice("anywho", ledger.RoleReader)
				f := newFan(b, r)
				if beside != "alone" {
					stall(b, r, token)
				}
				overMQTT, overSSE := f.listener(), f.listener()
				overMQTT.mqtt(r, token)
				ctx, cancel := context.WithCancel(b.Context())
				overSSE.sse(ctx, r)
				f.work()
				overMQTT.report("mqtt")
				overSSE.report("sse")
				cancel()
			}
		})
	}
}
