package simulation

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cattlecounter/cloud/store/azstorage"
	"cattlecounter/shared/secret"
)

// service is the queues of an Azure Storage account in simulated time, as far as queue/azure uses them. It is the
// transport of the client. It keeps the order of arrival, loses requests and answers at the rates of the world, and the
// client repeats them.
type service struct {
	w *world

	mu     sync.Mutex
	random *rand.Rand
	queues map[string][]*message
	next   int
}

// message is one message of the service.
type message struct {
	XMLName struct{} `xml:"QueueMessage"`
	ID      string   `xml:"MessageId"`
	Receipt string   `xml:"PopReceipt"`
	Count   int      `xml:"DequeueCount"`
	Text    string   `xml:"MessageText"`
	visible time.Time
}

type messages struct {
	XMLName struct{} `xml:"QueueMessagesList"`
	List    []*message
}

func newService(w *world) *service {
	return &service{w: w, random: rand.New(rand.NewPCG(w.seed, 5<<32)), queues: map[string][]*message{}}
}

// account returns the account of the service. Its key signs nothing that anybody checks.
func (*service) account() azstorage.Account {
	return azstorage.Account{ConnectionString: secret.New("DefaultEndpointsProtocol=http;AccountName=simulated;AccountKey=c2ltdWxhdGVk;" +
		"QueueEndpoint=http://queue.invalid/simulated;BlobEndpoint=http://blob.invalid/simulated;")}
}

var errNetwork = errors.New("simulated fault: connection reset")

// RoundTrip implements http.RoundTripper.
func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		if err := r.Body.Close(); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.random.Float64() < s.w.rates.fail {
		s.w.faults.add("request to the service lost")
		return nil, errNetwork
	}
	status, header, answer := s.serve(r, body)
	if s.random.Float64() < s.w.rates.lost {
		s.w.faults.add("answer of the service lost")
		return nil, errNetwork
	}
	header.Set("Content-Type", "application/xml")
	return &http.Response{StatusCode: status, Status: strconv.Itoa(status), Header: header, Request: r,
		Body: io.NopCloser(bytes.NewReader(answer)), ContentLength: int64(len(answer))}, nil
}

// serve answers one request: /ACCOUNT/QUEUE, /ACCOUNT/QUEUE/messages or /ACCOUNT/QUEUE/messages/ID.
func (s *service) serve(r *http.Request, body []byte) (int, http.Header, []byte) {
	h := http.Header{}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	name, query := parts[1], r.URL.Query()
	hidden, _ := strconv.Atoi(query.Get("visibilitytimeout"))
	visible := time.Now().Add(time.Duration(hidden) * time.Second)
	switch {
	case len(parts) == 2 && r.Method == http.MethodPut:
		return http.StatusNoContent, h, nil
	case len(parts) == 2:
		h.Set("x-ms-approximate-messages-count", strconv.Itoa(len(s.queues[name])))
		return http.StatusOK, h, nil
	case len(parts) == 3 && r.Method == http.MethodPost:
		s.next++
		m := &message{ID: fmt.Sprint("m", s.next), Receipt: fmt.Sprint("r", s.next), Text: textOf(body), visible: visible}
		s.queues[name] = append(s.queues[name], m)
		return http.StatusCreated, h, marshal(m)
	case len(parts) == 3:
		i := slices.IndexFunc(s.queues[name], func(m *message) bool { return !m.visible.After(time.Now()) })
		if i < 0 {
			return http.StatusOK, h, marshal()
		}
		return http.StatusOK, h, marshal(s.touch(s.queues[name][i], visible))
	}
	i := slices.IndexFunc(s.queues[name], func(m *message) bool { return m.ID == parts[3] && m.Receipt == query.Get("popreceipt") })
	if i < 0 {
		h.Set("x-ms-error-code", "MessageNotFound")
		return http.StatusNotFound, h, nil
	}
	m := s.queues[name][i]
	s.queues[name] = slices.Delete(s.queues[name], i, i+1)
	if r.Method == http.MethodPut { // behind the others
		m.Text = textOf(body)
		s.queues[name] = append(s.queues[name], s.touch(m, visible))
		h.Set("x-ms-popreceipt", m.Receipt)
	}
	return http.StatusNoContent, h, nil
}

// touch gives a message a new receipt, and hides it.
func (s *service) touch(m *message, visible time.Time) *message {
	s.next++
	m.Receipt, m.visible = fmt.Sprint("r", s.next), visible
	m.Count++
	return m
}

func textOf(body []byte) string {
	var m message
	if err := xml.Unmarshal(body, &m); err != nil {
		panic(err) // the client sends nothing else
	}
	return m.Text
}

func marshal(list ...*message) []byte {
	out, err := xml.Marshal(messages{List: list})
	if err != nil {
		panic(err) // messages always encode
	}
	return out
}
