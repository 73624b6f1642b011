package detr

import (
	"slices"
	"strings"
)

// coco80 holds the classes of COCO in the dense numbering of YOLO, D-FINE and DEIM exports.
var coco80 = strings.Split("person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,"+
	"parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,"+
	"frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,"+
	"wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,"+
	"couch,potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,"+
	"refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush", ",")

// coco91Gaps holds the numbers that COCO's own category IDs skip; these IDs start at 1.
var coco91Gaps = []int{0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83}

// coco91 returns the classes of COCO by their category ID, the numbering of DETR exports. The gaps are "N/A".
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

// cocoAnimals count as cattle for a COCO model. Such a model was trained with cows seen from the side; from above it
// gives the same animal many names.
var cocoAnimals = coco80[14:24]

// isCOCO reports whether a class map has the animals of COCO, in any numbering.
func isCOCO(labels []string) bool {
	for _, name := range cocoAnimals {
		if !slices.Contains(labels, name) {
			return false
		}
	}
	return true
}
