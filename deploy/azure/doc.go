// Package azure tests the scripts that bring a version to Azure, with programs in the place of az and docker.
package azure
