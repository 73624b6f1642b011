package watch

import (
	"path/filepath"
	"slices"
	"strings"
)

// Names in lower case; case does not matter in comparisons.
var (
	videoExtensions = []string{".mp4", ".mov", ".mkv", ".avi", ".ts"}
	// partialEndings end the stem of a file that another program is still writing.
	partialEndings = []string{".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", "~"}
	// otherFolders hold no footage, but DJI's logs and indexes and the operating systems' own files.
	otherFolders = []string{"misc", "system volume information", "$recycle.bin", "lost.dir", "lost+found"}
)

// isFootage reports whether a base name can be footage. DJI's proxies and thumbnails (.LRF,
// .THM) belong to other videos, and names with a leading dot are hidden or AppleDouble files
// ("._DJI_0001.MP4").
func isFootage(name string) bool {
	if strings.HasPrefix(name, ".") {
		return false
	}
	name = strings.ToLower(name)
	ext := filepath.Ext(name)
	stem := strings.TrimSuffix(name, ext)
	return stem != "" && slices.Contains(videoExtensions, ext) &&
		!slices.ContainsFunc(partialEndings, func(e string) bool { return strings.HasSuffix(stem, e) })
}

// isTelemetry reports whether a base name is a drone's telemetry sidecar.
func isTelemetry(name string) bool {
	return !strings.HasPrefix(name, ".") && strings.EqualFold(filepath.Ext(name), ".srt")
}

// skipsFolder reports whether a folder holds no footage.
func skipsFolder(name string) bool {
	return strings.HasPrefix(name, ".") || slices.Contains(otherFolders, strings.ToLower(name))
}

// stem is the part of the path that a video and its sidecar have in common.
func stem(path string) string {
	return strings.ToLower(strings.TrimSuffix(path, filepath.Ext(path)))
}
