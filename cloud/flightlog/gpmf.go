package flightlog

import (
	"encoding/binary"
	"math"
	"strings"
	"time"

	"cattlecounter/cloud/flightlog/tracks"
)

// Cameras of GoPro write a track gpmd in the GoPro metadata format (github.com/gopro/gpmf-parser): nested items of four
// letters, a type, the size of an element and a count. A sample has the positions of about one second.

// item is one item of the format.
type item struct {
	name  string
	kind  byte
	size  int // bytes of an element
	count int
	data  []byte
}

// items calls do for the items of a block, until one is broken.
func items(b []byte, do func(item)) {
	const head = 8
	for len(b) >= head {
		i := item{name: string(b[:4]), kind: b[4], size: int(b[5]), count: int(binary.BigEndian.Uint16(b[6:]))}
		size := i.size * i.count
		if size > len(b)-head {
			return
		}
		i.data = b[head : head+size]
		do(i)
		b = b[min(len(b), head+(size+3)/4*4):]
	}
}

// numbers reads the numbers of an element.
func (i item) numbers(kinds string) []float64 {
	var out []float64
	if i.size == 0 {
		return nil
	}
	for n := range i.count {
		element := i.data[n*i.size : (n+1)*i.size]
		for k := 0; len(element) > 0; k++ {
			kind := i.kind
			if kind == '?' {
				if k >= len(kinds) {
					break
				}
				kind = kinds[k]
			}
			v, size := gpmfNumber(kind, element)
			if size == 0 {
				break
			}
			out, element = append(out, v), element[size:]
		}
	}
	return out
}

// gpmfNumber reads a number of a type. Its size is 0 where it is unknown or cut.
func gpmfNumber(kind byte, b []byte) (v float64, size int) {
	switch kind {
	case 'b', 'B':
		size = 1
	case 's', 'S':
		size = 2
	case 'l', 'L', 'f':
		size = 4
	case 'd', 'j', 'J':
		size = 8
	}
	if size == 0 || len(b) < size {
		return 0, 0
	}
	switch kind {
	case 'b':
		v = float64(int8(b[0]))
	case 'B':
		v = float64(b[0])
	case 's':
		v = float64(int16(binary.BigEndian.Uint16(b)))
	case 'S':
		v = float64(binary.BigEndian.Uint16(b))
	case 'l':
		v = float64(int32(binary.BigEndian.Uint32(b)))
	case 'L':
		v = float64(binary.BigEndian.Uint32(b))
	case 'f':
		v = float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
	case 'd':
		v = math.Float64frombits(binary.BigEndian.Uint64(b))
	case 'j':
		v = float64(int64(binary.BigEndian.Uint64(b)))
	case 'J':
		v = float64(binary.BigEndian.Uint64(b))
	}
	return v, size
}

// stream is what is known of one stream (STRM) while its items are read.
type stream struct {
	scale []float64
	kinds string
	at    time.Time // of the first position
	fix   float64   // 0 none, 2 or 3
}

// readGPMF reads the track. The newer positions (GPS9) have priority over the older ones (GPS5).
func readGPMF(t *tracks.Track) (*Log, error) {
	r := newRecorder("gopro-gpmf")
	newer := false
	eachSample(t, r, func(s tracks.Sample) error {
		items(s.Data, func(device item) {
			if device.name != "DEVC" {
				return
			}
			items(device.data, func(i item) {
				switch {
				case i.name == "DVNM":
					r.l.Model = strings.ToValidUTF8(strings.Trim(string(i.data[:min(len(i.data), 64)]), "\x00 "), "")
				case i.name == "STRM":
					readStream(r, s, i.data, &newer)
				}
			})
		})
		return nil
	})
	return r.log("its track gpmd has no positions")
}

// readStream reads a stream that has positions.
func readStream(r *recorder, in tracks.Sample, b []byte, newer *bool) {
	st := stream{fix: 3}
	items(b, func(i item) {
		switch i.name {
		case "SCAL":
			st.scale = i.numbers("")
		case "TYPE":
			st.kinds = string(i.data)
		case "GPSF":
			if v := i.numbers(""); len(v) > 0 {
				st.fix = v[0]
			}
		case "GPSU":
			st.at = gpmfTime(string(i.data))
		case "GPS5", "GPS9":
			if *newer = *newer || i.name == "GPS9"; *newer == (i.name == "GPS9") {
				st.positions(r, in, i)
			}
		}
	})
}

// positions adds the positions of an item. They are spread evenly over the time of the sample.
func (st *stream) positions(r *recorder, in tracks.Sample, i item) {
	each := map[string]int{"GPS5": 5, "GPS9": 9}[i.name]
	v := i.numbers(st.kinds)
	if len(v) != each*i.count || len(st.scale) != 1 && len(st.scale) != each {
		r.fault(0, in.At, "%d numbers and %d scales of %d positions %s", len(v), len(st.scale), i.count, i.name)
		return
	}
	length := in.Length
	if length <= 0 || length > 10*time.Second {
		length = time.Second
	}
	for n := range i.count {
		p := v[n*each : (n+1)*each]
		for k := range p {
			if scale := st.scale[k%len(st.scale)]; scale != 0 {
				p[k] /= scale
			}
		}
		shift := length * time.Duration(n) / time.Duration(i.count)
		s := NewSample(in.At + shift)
		fix := st.fix
		if each == 9 {
			fix = p[8]
			day := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, int(min(max(p[5], 0), 40000)))
			s.Time = day.Add(time.Duration(min(max(p[6], 0), 86401) * 1e6 * float64(time.Microsecond)))
		} else if !st.at.IsZero() {
			s.Time = st.at.Add(shift)
		}
		if s.Time.Year() < oldest {
			s.Time = time.Time{}
		} else {
			r.l.Zone = UTC
		}
		if fix >= 2 {
			s.Lat, s.Lon, s.AbsAlt = p[0], p[1], p[2]
		}
		r.add(s, 0)
	}
}

// gpmfTime reads the form 260517080000.123; zero for none.
func gpmfTime(text string) time.Time {
	t, err := time.Parse("060102150405.999", strings.Trim(text, "\x00 "))
	if err != nil {
		return time.Time{}
	}
	return t
}
