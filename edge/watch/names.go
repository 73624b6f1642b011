package watch

import (
	"path/filepath"
	"slices"
	"strings"

	"cattlecounter/shared/footage"
)

// Reason is why a file on a card is not taken.
type Reason string

// Reasons, in the order of the lists for people.
const (
	NotVideo    Reason = "not_a_video"             // a video's name, but other content
	Empty       Reason = "empty"                   // a video's or flight log's name, no bytes
	OtherVideo  Reason = "other_video"             // a video of a kind that the worker does not read
	Unfinished  Reason = "unfinished"              // another program still writes it, by its name
	LoneLog     Reason = "telemetry_without_video" // a flight log without its video
	LargeLog    Reason = "telemetry_too_large"     // a flight log that the cloud would refuse
	Unreadable  Reason = "unreadable"              // a folder or file that cannot be read
	TooDeep     Reason = "too_deep"                // a folder below maxDepth
	NotRegular  Reason = "not_a_regular_file"      // a link, a pipe, a device
	Proxy       Reason = "proxy"                   // the camera's copy in low resolution
	Thumbnail   Reason = "thumbnail"
	Photo       Reason = "photo"
	Audio       Reason = "audio"
	Hidden      Reason = "hidden"        // a leading dot, also of AppleDouble files ("._DJI_0001.MP4")
	OtherFolder Reason = "system_folder" // a folder of the camera or of an operating system
	Unknown     Reason = "unknown_type"
)

// reasonTexts name the reasons for people, after a number: "3 proxies".
var reasonTexts = map[Reason]string{
	NotVideo:    "with a video's name but other content",
	Empty:       "empty",
	OtherVideo:  "videos of a kind that cannot be read; convert them to MP4",
	Unfinished:  "unfinished by their name",
	LoneLog:     "flight logs without a video",
	LargeLog:    "flight logs that are too large",
	Unreadable:  "that cannot be read",
	TooDeep:     "folders too deep in the tree",
	NotRegular:  "links or special files",
	Proxy:       "proxies of low resolution",
	Thumbnail:   "thumbnails",
	Photo:       "photos",
	Audio:       "audio files",
	Hidden:      "hidden",
	OtherFolder: "folders of the camera or the system",
	Unknown:     "of an unknown type",
}

// Reasons returns every reason, those that a person should look at first.
func Reasons() []Reason {
	return []Reason{NotVideo, Empty, OtherVideo, Unfinished, LoneLog, LargeLog, Unreadable, TooDeep, NotRegular, Proxy,
		Thumbnail, Photo, Audio, Hidden, OtherFolder, Unknown}
}

// Text names the reason for people, after a number of files.
func (r Reason) Text() string { return reasonTexts[r] }

// Suspicious reports whether a recording may be lost behind the reason, so that a person should look at it.
func (r Reason) Suspicious() bool {
	return slices.Contains([]Reason{NotVideo, Empty, OtherVideo, LargeLog, Unreadable, TooDeep}, r)
}

// Names in lower case; case does not matter in comparisons.
var (
	// partialEndings end the name, or its stem, of a file that another program is still writing.
	partialEndings = []string{".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", "~"}
	// otherFolders hold no footage, but DJI's logs and indexes and the operating systems' own files.
	otherFolders = append(footage.SystemFolders(), "misc")
	// otherExtensions are the reasons of file name endings that are neither footage nor telemetry.
	otherExtensions = map[Reason][]string{
		Proxy:     {".lrf", ".lrv"},
		Thumbnail: {".thm", ".scr"},
		Photo: {".jpg", ".jpeg", ".png", ".dng", ".tif", ".tiff", ".heic", ".heif", ".hif", ".raw", ".arw", ".cr2", ".cr3",
			".nef", ".raf", ".rw2", ".gpr", ".insp", ".gif", ".bmp", ".webp"},
		Audio: {".wav", ".m4a", ".mp3", ".aac", ".flac"},
		OtherVideo: {".mxf", ".mpg", ".mpeg", ".mod", ".tod", ".vob", ".wmv", ".asf", ".flv", ".f4v", ".ogv", ".rm", ".dv",
			".insv", ".360", ".r3d", ".braw", ".crm", ".h264", ".264", ".h265", ".265", ".hevc", ".ivf", ".y4m"},
	}
)

// kind is what a file is by its name.
type kind int

const (
	skippedFile kind = iota
	footageFile
	telemetryFile
)

// classify returns what a base name is, and for a skipped file the reason.
func classify(name string) (kind, Reason) {
	if strings.HasPrefix(name, ".") {
		return skippedFile, Hidden
	}
	name = strings.ToLower(name)
	ext := filepath.Ext(name)
	if hasPartialEnding(name) || hasPartialEnding(strings.TrimSuffix(name, ext)) {
		return skippedFile, Unfinished
	}
	switch {
	case footage.HasVideoExtension(name):
		return footageFile, ""
	case ext == ".srt" && ext != name:
		return telemetryFile, ""
	}
	for reason, extensions := range otherExtensions {
		if slices.Contains(extensions, ext) {
			return skippedFile, reason
		}
	}
	return skippedFile, Unknown
}

func hasPartialEnding(name string) bool {
	return slices.ContainsFunc(partialEndings, func(e string) bool { return strings.HasSuffix(name, e) })
}

// skipsFolder reports whether a folder holds no footage.
func skipsFolder(name string) bool {
	return strings.HasPrefix(name, ".") || slices.Contains(otherFolders, strings.ToLower(name))
}

// stem is the part of the path that a video and its sidecar have in common.
func stem(path string) string {
	return strings.ToLower(strings.TrimSuffix(path, filepath.Ext(path)))
}
