#!/bin/sh
# Renders 18 clips as crews fly into a folder: straight down, 1920x1080, a cow 140 to 320 pixels long.
#   deploy/bench/calibrate/field.sh FOLDER
#   make calibrate ARGS='-clips FOLDER'
set -eu
folder=${1:?usage: field.sh FOLDER}
mkdir -p "$folder"

# clip NAME SEED SCALE CAMERA HERD GROUND LIGHT ANIMALS MOVING SPEED [FLAG...]
clip() {
	out=$folder/$1.mp4 seed=$2 scale=$3 camera=$4 herd=$5 ground=$6 light=$7 animals=$8 moving=$9
	shift 9
	speed=$1
	shift
	[ -f "${out%.mp4}.json" ] || build/bin/herdsim clip --out "$out" --tilt=-1 --size 1920x1080 --fps 12 --seconds 8 \
		--seed "$seed" --scale "$scale" --camera "$camera" --herd "$herd" --ground "$ground" --light "$light" \
		--animals "$animals" --moving "$moving" --speed "$speed" "$@"
}

clip 01-loose 301 90 pass loose grass soft 60 0.4 3
clip 02-loose 302 70 pass loose soil noon 70 0.6 2.5
clip 03-lane 303 80 steady lane road noon 50 1 2
clip 04-tight 304 60 hover tight concrete soft 70 0.3 4
clip 05-tight 305 80 pass tight grass noon 90 0.3 2.5
clip 06-oneway 306 70 pass oneway grass day 60 1 2.5
clip 07-follow 307 60 pass follow drygrass evening 45 1 1.5
clip 08-loose 308 60 back loose feedlot noon 60 0.5 4
clip 09-serpentine 309 65 serpentine loose grass day 70 0.3 4
clip 10-lane 310 100 hover lane concrete soft 50 1 4
clip 11-crossing 311 70 gust crossing soil day 50 1 2
clip 12-oneway 312 140 pass oneway soil noon 50 1 2
clip 13-tight 313 110 steady tight feedlot soft 90 0.2 2
clip 14-turn90 314 70 yaw loose soil day 60 0.4 3 --turn 90 --fps 30
clip 15-turn180 315 70 yaw loose grass noon 60 0.3 3 --turn 180 --fps 30
clip 16-grazing 316 100 pass grazing stubble day 60 0.3 3
clip 17-return 317 80 hover return grass soft 40 1 4
clip 18-turn180 318 70 yaw loose concrete soft 60 0.2 4 --turn 180 --fps 30 --seconds 6
