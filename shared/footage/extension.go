package footage

import (
	"path/filepath"
	"slices"
	"strings"
)

// videoExtensions are the file name endings of footage, in lower case. Sniff reads the container of each of them. The
// station and `worker count` take the same files, because both read this list.
var videoExtensions = []string{
	".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", // ISO base media and QuickTime
	".mkv", ".webm", // Matroska
	".avi",
	".ts", ".mts", ".m2ts", ".m2t", // MPEG transport stream
}

// SystemFolders returns the names of folders in which systems keep deleted files, indexes and what a check of a disk
// found, in lower case. Their videos are no footage.
func SystemFolders() []string {
	return []string{"system volume information", "$recycle.bin", "lost.dir", "lost+found"}
}

// VideoExtensions returns the file name endings of footage: in lower case, each with its dot.
func VideoExtensions() []string { return slices.Clone(videoExtensions) }

// HasVideoExtension reports whether a file name ends like footage, in capital or small letters. A name that has nothing
// before the ending is no footage.
func HasVideoExtension(name string) bool {
	base := filepath.Base(name)
	ext := filepath.Ext(base)
	return len(ext) < len(base) && slices.Contains(videoExtensions, strings.ToLower(ext))
}
