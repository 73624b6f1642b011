// Package geotiff writes pictures with their place on the earth, for QGIS and other programs with maps, and reads grids of
// heights, such as those of Copernicus and of surveyors. It does no I/O besides the writers that it is given.
package geotiff
