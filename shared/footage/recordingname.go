package footage

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Lens is the camera of a drone that recorded a file, the one that is best for counting first.
type Lens int

// Cameras. Drones with several write a file for each of them.
const (
	LensWide    Lens = iota // the wide camera, or a name without a camera
	LensVisible             // a camera of visible light, wide or zoomed
	LensZoom
	LensScreen // several cameras in one picture, as on the remote control
	LensThermal
)

// String names the camera for a person.
func (l Lens) String() string {
	switch l {
	case LensWide:
		return "wide camera"
	case LensVisible:
		return "visible camera"
	case LensZoom:
		return "zoom camera"
	case LensScreen:
		return "split screen"
	}
	return "thermal camera"
}

// Name is what the path of a video file says about its recording.
type Name struct {
	// Key is equal for files that can be of one recording. It has no folder.
	Key string
	// Place is the folder without folders such as "proxy", "original" or "thermal". Files of one recording lie in one
	// place unless a person moved them.
	Place string
	// Stamp is the start by the camera's wall clock, in no known time zone; zero when the name has none.
	Stamp time.Time
	Lens  Lens
	// Proxy is a low-resolution copy that a camera or an editing program writes beside the recording.
	Proxy bool
}

// String describes the role of the file for a person.
func (n Name) String() string {
	if n.Proxy {
		return "low-resolution copy"
	}
	return n.Lens.String()
}

// proxyExtensions are low-resolution copies: .LRF of DJI, .LRV of GoPro, Skydio and Insta360. Both are MP4.
var proxyExtensions = []string{".lrf", ".lrv"}

// IsProxyFile reports whether the end of a file name marks a low-resolution copy. Its content is a video.
func IsProxyFile(name string) bool {
	return slices.Contains(proxyExtensions, lowerASCII(path.Ext(name)))
}

// Folders that programs and people make beside the recordings.
var (
	proxyFolders    = []string{"proxy", "proxies", "lowres", "low-res", "low_res", "lrf", "lrv", "preview", "previews"}
	originalFolders = []string{"original", "originals", "raw", "full", "fullres", "hires", "highres", "high-res", "master"}
	// XAVC of Sony: CLIP/C0001.MP4 and SUB/C0001S03.MP4.
	sonyFolders = []string{"clip", "sub"}
	sonyProxy   = regexp.MustCompile(`^(c\d{4})s03$`)
)

// letters are the endings of DJI: DJI_20250601080000_0001_T.MP4, formerly DJI_0001_T.MP4. D is "default".
var letters = map[string]Lens{
	"d": LensWide, "w": LensWide, "v": LensVisible, "z": LensZoom, "s": LensScreen, "t": LensThermal,
}

// words name the camera in files and folders of other makers and of people.
var words = map[string]Lens{
	"wide": LensWide, "rgb": LensVisible, "eo": LensVisible, "vis": LensVisible, "visible": LensVisible,
	"visual": LensVisible, "color": LensVisible, "zoom": LensZoom, "tele": LensZoom, "thermal": LensThermal,
	"therm": LensThermal, "ir": LensThermal, "infrared": LensThermal, "lwir": LensThermal, "flir": LensThermal,
}

const proxyPattern = `proxy|proxies|lowres|low-res|low_res|lrf|lrv|preview`

const wordPattern = `wide|rgb|eo|vis|visible|visual|color|zoom|tele|thermal|therm|ir|infrared|lwir|flir`

var (
	djiName = regexp.MustCompile(`^dji_(?:(\d{14})_)?(\d{3,5})(?:_([dwvzst]))?((?:[ _.-].*)?)$`)
	// GoPro since HERO6: GH or GX, chapter, number; GL is the copy.
	goproName = regexp.MustCompile(`^g([hxl])([0-9a-z]{2}\d{4})$`)
	// Insta360: the last digit of the pair is 0 for the recording and 1 for the copy.
	insta360Name = regexp.MustCompile(`^(pro_)?(vid|lrv)_(\d{8})_(\d{6})_(\d)\d_(\d{3,})$`)
	// Autel: infrared, visible, and both in one picture.
	autelName  = regexp.MustCompile(`^(irx|max|mix)_(\d{3,})$`)
	autelLens  = map[string]Lens{"irx": LensThermal, "max": LensWide, "mix": LensScreen}
	proxyEnd   = regexp.MustCompile(`^(.+?)[ _.-]+\(?(?:` + proxyPattern + `)\)?$`)
	proxyStart = regexp.MustCompile(`^(?:` + proxyPattern + `)[ _.-]+(.+)$`)
	scaledEnd  = regexp.MustCompile(`^(.+?)[ _.-]+\(?(?:low|lq|small|half|scaled|resized|compressed|web|mobile|` +
		`\d{3,4}x\d{3,4}|\d{3,4}p|240|360|480|540|640|720|1080|1440|2160|sd|hd|uhd|4k|8k)\)?$`)
	lensEnd   = regexp.MustCompile(`^(.+)[ _.-](` + wordPattern + `)$`)
	lensStart = regexp.MustCompile(`^(` + wordPattern + `)[ _.-](.+)$`)
	// S could be south, so it is read in names of DJI only.
	lensLetter = regexp.MustCompile(`^(.+)_([twzv])$`)
)

// ReadName reads the path of a video file, relative and with slashes. It knows the names of DJI, GoPro, Insta360, Autel
// and Sony, and the usual words for low-resolution copies and cameras. Letter case of ASCII does not matter.
// Every other name is its own key.
func ReadName(file string) Name {
	file = lowerASCII(file)
	ext := path.Ext(file)
	stem := strings.TrimSuffix(path.Base(file), ext)
	n := Name{Proxy: IsProxyFile(file)}
	n.readFolders(path.Dir(file))
	n.readStem(stem)
	return n
}

// readFolders fills Place, and takes the camera and the copy from the names of folders.
func (n *Name) readFolders(dir string) {
	var kept []string
	for part := range strings.SplitSeq(dir, "/") {
		lens, isLens := words[part]
		switch {
		case isLens:
			n.Lens = lens
		case slices.Contains(proxyFolders, part):
			n.Proxy = true
		case part == ".", part == "", slices.Contains(sonyFolders, part), slices.Contains(originalFolders, part):
		default:
			kept = append(kept, part)
		}
	}
	n.Place = strings.Join(kept, "/")
}

// readStem fills Key and Stamp, and takes the camera and the copy from the name.
func (n *Name) readStem(stem string) {
	if m := sonyProxy.FindStringSubmatch(stem); m != nil {
		stem, n.Proxy = m[1], true
	}
	// A whole name of a camera: its number is no size, and its beginning is no word.
	if m := djiName.FindStringSubmatch(stem); (m == nil || m[4] == "") && n.readMaker(stem) {
		return
	}
	if m := proxyEnd.FindStringSubmatch(stem); m != nil {
		stem, n.Proxy = m[1], true
	} else if m := proxyStart.FindStringSubmatch(stem); m != nil {
		stem, n.Proxy = m[1], true
	}
	if m := scaledEnd.FindStringSubmatch(stem); m != nil {
		stem = m[1]
	}
	if n.readMaker(stem) {
		return
	}
	if m := lensEnd.FindStringSubmatch(stem); m != nil {
		stem, n.Lens = m[1], words[m[2]]
	} else if m := lensStart.FindStringSubmatch(stem); m != nil {
		stem, n.Lens = m[2], words[m[1]]
	} else if m := lensLetter.FindStringSubmatch(stem); m != nil {
		stem, n.Lens = m[1], letters[m[2]]
	}
	// A file that is named by its camera, such as DJI_0001_thermal, belongs to the recording of that maker.
	if !n.readMaker(stem) {
		n.Key = stem
	}
}

// readMaker reads the names that cameras write. It reports whether the name is one of them.
func (n *Name) readMaker(stem string) bool {
	if m := djiName.FindStringSubmatch(stem); m != nil {
		return n.readDJI(m[1], m[2], m[3], m[4])
	}
	if m := goproName.FindStringSubmatch(stem); m != nil {
		n.Key = "gopro " + m[2]
		n.Proxy = n.Proxy || m[1] == "l"
		return true
	}
	if m := insta360Name.FindStringSubmatch(stem); m != nil {
		n.Key = "insta360 " + m[1] + m[5] + " " + m[6]
		n.Proxy = n.Proxy || m[2] == "lrv"
		n.Stamp = parseStamp(m[3] + m[4])
		return true
	}
	if m := autelName.FindStringSubmatch(stem); m != nil {
		n.Key, n.Lens = "autel "+m[2], autelLens[m[1]]
		return true
	}
	return false
}

// readDJI takes the parts of a name of DJI. rest is what a person or a mission appended; it may end in a word for a
// camera, which is then read as such.
func (n *Name) readDJI(stamp, number, letter, rest string) bool {
	if m := lensEnd.FindStringSubmatch("x" + rest); m != nil && letter == "" {
		return false
	}
	n.Key = "dji " + number + rest
	if stamp != "" {
		n.Stamp = parseStamp(stamp)
		n.Key = "dji dated " + number + rest
	}
	if letter != "" {
		n.Lens = letters[letter]
	}
	return true
}

// parseStamp reads 20250601080000, and returns zero for digits that are no time.
func parseStamp(digits string) time.Time {
	t, err := time.Parse("20060102150405", digits)
	if err != nil || !plausible(t) {
		return time.Time{}
	}
	return t
}

// lowerASCII keeps every other byte, so that names in an unknown encoding stay different.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
