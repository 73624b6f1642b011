package detr

import (
	"slices"
	"strings"
)

// coco80 are the classes of COCO in the dense numbering that YOLO, D-FINE and
// DEIM exports use.
var coco80 = strings.Split("person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,"+
	"parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,"+
	"frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,"+
	"wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,"+
	"couch,potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,"+
	"refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush", ",")

// coco91Gaps are the numbers that COCO's own 1-based category ids leave out.
var coco91Gaps = []int{0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83}

// coco91 are the classes of COCO by their category id, as DETR exports use
// them; the gaps are "N/A".
func coco91() []string {
	names := make([]string, 91)
	next := 0
	for i := range names {
		if slices.Contains(coco91Gaps, i) {
			names[i] = "N/A"
			continue
		}
		names[i] = coco80[next]
		next++
	}
	return names
}

// cocoAnimals count as cattle when a COCO model looks down from a drone: it
// has seen cows from the side only and calls the same animal by many names.
var cocoAnimals = coco80[14:24]

// isCOCO tells a COCO class map in any numbering from one of an own data set.
func isCOCO(labels []string) bool {
	for _, name := range cocoAnimals {
		if !slices.Contains(labels, name) {
			return false
		}
	}
	return true
}
