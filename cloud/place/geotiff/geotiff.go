// Package geotiff writes pictures with their place on the earth, for QGIS and other programs with maps. It does no I/O
// besides the writers and readers that it is given.
package geotiff
