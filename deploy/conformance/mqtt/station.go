package mqtt

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"cattlecounter/deploy/conformance/finding"
)

var onlyAdmin = []string{needsAdmin}

// stationSide are the checks of what a station publishes.
var stationSide = []check{
	{"status-birth", asyncapi, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		return k.aboutStatus(ctx, true, func(c *client) error { c.close(); return nil })
	}},
	{"status-will", asyncapi, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		return k.aboutStatus(ctx, false, func(c *client) error { c.cut(); return nil })
	}},
	{"station-online", ordering, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		return k.withStation(ctx, func(*client) error {
			return k.awaitStation(ctx, k.made.station.name, "the station is online", func(v stationView) bool {
				return v.State == "online" && v.Version == "kit"
			})
		})
	}},
	{"vitals-heard", asyncapi, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		return k.withStation(ctx, func(c *client) error { return k.vitalsHeard(ctx, c, 4711) })
	}},
	{"footage-heard", asyncapi, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		return k.withStation(ctx, func(c *client) error {
			id := newID()
			if err := c.publish(ctx, k.made.station.topic("footage", id), k.footage(id), true); err != nil {
				return err
			}
			return k.awaitStation(ctx, k.made.station.name, "the footage of the station", func(v stationView) bool {
				for _, f := range v.Footage {
					if f.Footage == id && f.State == "spooled" {
						return true
					}
				}
				return false
			})
		})
	}},
	{"malformed-ignored", asyncapi, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		return k.withStation(ctx, func(c *client) error {
			for _, bad := range []string{"", "{", "[]", "null", `"x"`, `{"v":2}`, `{"v":1,"disk_free":-1}`, `{"v":1,"disk_free":"x"}`, "\xff\xfe"} {
				if err := c.publish(ctx, k.made.station.topic("vitals"), []byte(bad), false); err != nil {
					return fmt.Errorf("vitals %.40q: %w", bad, err)
				}
			}
			return k.vitalsHeard(ctx, c, 4712)
		})
	}},
	{"retained-cleared", asyncapi, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		return k.withStation(ctx, func(c *client) error {
			id := newID()
			at, from := k.made.station.topic("footage", id), k.watch.count()
			if err := c.publish(ctx, at, k.footage(id), true); err != nil {
				return err
			}
			wait, cancel := k.within(ctx)
			defer cancel()
			_, next, err := k.watch.await(wait, at, from, func(m message) bool { return m.topic == at })
			if err != nil {
				return err
			}
			if err := c.publish(ctx, at, nil, true); err != nil {
				return err
			}
			if _, _, err := k.watch.await(wait, "the empty message at "+at, next, func(m message) bool { return m.topic == at && len(m.payload) == 0 }); err != nil {
				return err
			}
			got, err := k.newcomer(ctx, k.reader, at)
			if err == nil && len(got) > 0 {
				err = fmt.Errorf("a new subscriber still gets %.200s", got[0].payload)
			}
			return err
		})
	}},
	{"job-published", asyncapi, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		at, seq, err := k.jobOfUpload(ctx)
		if err != nil {
			return err
		}
		job := at[strings.LastIndex(at, "/")+1:]
		from := k.watch.count()
		if err := k.admin(ctx, http.MethodPost, "/api/v1/jobs/"+job+"/cancel", map[string]any{}, nil); err != nil {
			return finding.Skip("the job ended before it could be canceled: %v", err)
		}
		ctx, cancel := k.within(ctx)
		defer cancel()
		_, _, err = k.watch.await(ctx, "a later message of the canceled job", from, func(m message) bool {
			var j jobView
			return m.topic == at && json.Unmarshal(m.payload, &j) == nil && j.State == "canceled" && j.Seq > seq
		})
		return err
	}},
}

// aboutStatus announces the station, ends its connection and waits for the status, also as a new subscriber.
func (k *kit) aboutStatus(ctx context.Context, online bool, end func(*client) error) error {
	at := k.made.station.topic("status")
	from := k.watch.count()
	c, err := k.on(ctx, k.made.station)
	if err != nil {
		return err
	}
	err = c.publish(ctx, at, k.status(true), true)
	if err = errors.Join(err, end(c)); err != nil {
		return err
	}
	says := func(m message) bool {
		var s struct {
			Online *bool `json:"online"`
		}
		return m.topic == at && json.Unmarshal(m.payload, &s) == nil && s.Online != nil && *s.Online == online
	}
	wait, cancel := k.within(ctx)
	defer cancel()
	if _, _, err := k.watch.await(wait, fmt.Sprintf("the status with online %v", online), from, says); err != nil {
		return err
	}
	got, err := k.newcomer(ctx, k.reader, at)
	if err != nil {
		return err
	}
	if len(got) != 1 || !says(got[0]) {
		return fmt.Errorf("a new subscriber gets %d messages, want the status with online %v", len(got), online)
	}
	return nil
}

// withStation runs f while the first station is connected and announced.
func (k *kit) withStation(ctx context.Context, f func(*client) error) error {
	c, err := k.on(ctx, k.made.station)
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.publish(ctx, k.made.station.topic("status"), k.status(true), true); err != nil {
		return err
	}
	return f(c)
}

// vitalsHeard publishes vitals and waits until the API has them.
func (k *kit) vitalsHeard(ctx context.Context, c *client, free int64) error {
	if err := c.publish(ctx, k.made.station.topic("vitals"), k.vitals(free), false); err != nil {
		return err
	}
	return k.awaitStation(ctx, k.made.station.name, "the vitals of the station", func(v stationView) bool {
		return v.Vitals != nil && v.Vitals.DiskFree == free
	})
}

// jobView is the message of a job.
type jobView struct {
	Seq     int64  `json:"seq"`
	State   string `json:"state"`
	Footage string `json:"footage"`
}

// jobOfUpload uploads the head of a video as the station, and returns the topic of its job and the seq of its message.
func (k *kit) jobOfUpload(ctx context.Context) (at string, seq int64, err error) {
	id := newID()
	content := []byte("\x00\x00\x00\x20ftypisom" + id + strings.Repeat(".", 64))
	sum := sha256.Sum256(content)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, k.o.API+"/files/", strings.NewReader(string(content)))
	if err != nil {
		return "", 0, err
	}
	text := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for name, v := range map[string]string{"Authorization": "Bearer " + k.made.station.token, "Tus-Resumable": "1.0.0",
		"Content-Type": "application/offset+octet-stream", "Upload-Length": strconv.Itoa(len(content)),
		"Upload-Metadata": "filename " + text(id+".mp4") + ",sha256 " + text(hex.EncodeToString(sum[:]))} {
		r.Header.Set(name, v)
	}
	from := k.watch.count()
	answer, err := k.http.Do(r)
	if err != nil {
		return "", 0, err
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		return "", 0, finding.Skip("the cloud does not take the upload: status %d", answer.StatusCode)
	}
	ctx, cancel := k.within(ctx)
	defer cancel()
	m, _, err := k.watch.await(ctx, "the job of an upload", from, func(m message) bool {
		return strings.HasPrefix(m.topic, k.made.station.topic("jobs")+"/")
	})
	if err != nil {
		return "", 0, err
	}
	var j jobView
	err = json.Unmarshal(m.payload, &j)
	return m.topic, j.Seq, err
}

// rightsOf are the checks of who may publish and read what.
var rightsOf = []check{
	{"station-not-for-another", whoMay, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		id := newID()
		return k.wantDropped(ctx, k.made.other.account, k.made.station.topic("footage", id), k.footage(id))
	}},
	{"station-not-for-the-cloud", whoMay, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		s := k.made.station
		for _, at := range []string{s.topic("jobs", newID()), s.topic("command"), "cattle/v1/" + s.site + "/counts/" + newID(),
			"cattle/v1/" + s.site + "/counts/stations/" + s.name, "cattle/v1/" + s.site + "/counts/paddocks/x", "cattle/v1/" + s.site + "/counts/flights/x"} {
			if err := k.wantDropped(ctx, s.account, at, []byte("{}")); err != nil {
				return err
			}
		}
		return nil
	}},
	{"reader-publishes-nothing", whoMay, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		s := k.made.station
		for _, at := range []string{s.topic("status"), s.topic("command"), "cattle/v1/" + s.site + "/counts/" + newID()} {
			if err := k.wantDropped(ctx, k.reader, at, []byte("{}")); err != nil {
				return err
			}
		}
		return nil
	}},
	{"station-reads-own-orders", whoMay, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		c, err := k.dial(ctx, k.made.other.account, nil)
		if err != nil {
			return err
		}
		defer c.close()
		s := k.made.station
		for _, filter := range []string{s.topic("command"), s.topic("jobs", "+"), "cattle/v1/+/+/command", everything, "#"} {
			if granted, err := c.subscribe(ctx, filter); err != nil || granted {
				return errors.Join(err, fmt.Errorf("the station of another site may subscribe to %s", filter))
			}
		}
		return nil
	}},
	{"sites-apart-live", whoMay, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		c, err := k.dial(ctx, k.made.stranger, nil)
		if err != nil {
			return err
		}
		defer c.close()
		if granted, err := c.subscribe(ctx, everything); err != nil || !granted {
			return errors.Join(err, errors.New("the reader may not subscribe to "+everything))
		}
		for range 2 { // the second one shows that the first was delivered to everybody
			if err := k.fence(ctx, k.made.station, k.watch); err != nil {
				return err
			}
		}
		if err := k.fence(ctx, k.made.other, c); err != nil {
			return err
		}
		return nothing(c, 0, "a reader of another site", func(m message) bool { return strings.HasPrefix(m.topic, k.made.station.topic("")) })
	}},
	{"will-of-another", whoMay, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		return k.wantRefused(ctx, k.made.other.account, willAt(k.made.station.topic("status")))
	}},
	{"will-is-no-order", whoMay, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		return k.wantRefused(ctx, k.made.operator, willAt(k.made.station.topic("command")))
	}},
}

// willAt gives a log-in a last will at a topic.
func willAt(topic string) func(*packets.ConnectPacket) {
	return func(p *packets.ConnectPacket) {
		p.WillFlag, p.WillQos, p.WillTopic, p.WillMessage = true, 1, topic, []byte("{}")
	}
}

// wantDropped publishes what an account may not, and fails when the reader gets it.
func (k *kit) wantDropped(ctx context.Context, a account, at string, payload []byte) error {
	from := k.watch.count()
	if err := k.tried(ctx, a, at, payload, false); err != nil {
		return err
	}
	if err := k.fence(ctx, k.made.station, k.watch); err != nil {
		return err
	}
	return nothing(k.watch, from, a.name+" may not publish there", func(m message) bool { return m.topic == at })
}
