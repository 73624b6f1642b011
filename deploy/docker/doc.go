// Package docker tests the files that make the images and start them.
package docker
