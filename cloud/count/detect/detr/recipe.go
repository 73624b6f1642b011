package detr

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Ways to turn logits into scores.
const (
	scoresSoftmax = "softmax" // over all classes, the last one is "no object": DETR, YOLOS, Table Transformer
	scoresSigmoid = "sigmoid" // each class by itself: RT-DETR, RF-DETR, D-FINE, Deformable and Conditional DETR
)

// Defaults when neither card nor network has a value.
const (
	defaultThreshold = 0.25
	defaultOverlap   = 0.2
	defaultSide      = 640 // of a network that takes any size
)

// Mean and deviation of ImageNet; DETR is trained with them.
var (
	imageNetMean = []float64{0.485, 0.456, 0.406}
	imageNetStd  = []float64{0.229, 0.224, 0.225}
)

// recipe describes the inputs and outputs of one network, from the network file, the card and the configuration files.
type recipe struct {
	signature
	norm      normalisation
	filter    resampling
	size      hfSize // when the network takes any size
	scores    string // of logits
	labels    []string
	counts    []bool // by class; nil counts every class that is not another animal
	others    []bool // by class; other animals
	threshold float64
	tile      int
	overlap   float64
}

// newRecipe takes each value from the first of these that has it: the card, the Hugging Face files, the network, the
// conventions of its family (COCO classes; values 0..1; ImageNet mean and deviation for DETR and RF-DETR).
func newRecipe(s signature, d description) (recipe, error) {
	r := recipe{signature: s, filter: bilinear, threshold: defaultThreshold, overlap: defaultOverlap}
	r.scores = scoresOf(s, d)
	r.setNormalisation(d)
	r.setSize(d)
	r.setLabels(d)
	if err := r.setCattle(d.card.Cattle); err != nil {
		return recipe{}, err
	}
	if len(d.card.Other) > 0 {
		var err error
		if r.others, err = r.mark("other", d.card.Other); err != nil {
			return recipe{}, err
		}
	}
	if d.card.Threshold > 0 {
		r.threshold = d.card.Threshold
	}
	if d.card.Overlap > 0 {
		r.overlap = d.card.Overlap
	}
	w, _ := r.inputSize(1, 1)
	r.tile = w
	if d.card.Tile > 0 {
		r.tile = d.card.Tile
	}
	return r, nil
}

// scoresOf decides between softmax and sigmoid, by the card, else by the model type of config.json. Without both it is
// softmax for a network with a pixel_mask, which only DETR's own export has, and sigmoid otherwise.
func scoresOf(s signature, d description) string {
	if d.card.Scores != "" {
		return d.card.Scores
	}
	if d.config != nil {
		kind := strings.ToLower(d.config.ModelType)
		if kind == "" && len(d.config.Architectures) > 0 {
			kind = strings.ToLower(d.config.Architectures[0])
		}
		for _, name := range []string{"rt_detr", "rtdetr", "d_fine", "dfine", "deim", "conditional", "deformable",
			"deta", "dab", "lw_detr", "rf_detr"} {
			if strings.Contains(kind, name) {
				return scoresSigmoid
			}
		}
		for _, name := range []string{"detr", "yolos", "table-transformer", "tabletransformer"} {
			if strings.Contains(kind, name) {
				return scoresSoftmax
			}
		}
	}
	if s.mask {
		return scoresSoftmax
	}
	return scoresSigmoid // also RF-DETR
}

func (r *recipe) setNormalisation(d description) {
	rescale, mean, std := 1.0/255, []float64{0, 0, 0}, []float64{1, 1, 1}
	p := d.preprocessor
	switch {
	case p == nil && (r.family == familyRF || r.family == familyRaw && r.scores == scoresSoftmax):
		mean, std = imageNetMean, imageNetStd
	case p != nil:
		if p.RescaleFactor != nil {
			rescale = *p.RescaleFactor
		}
		if p.DoRescale != nil && !*p.DoRescale {
			rescale = 1
		}
		if p.DoNormalize == nil && p.ImageMean != nil || p.DoNormalize != nil && *p.DoNormalize {
			mean, std = imageNetMean, imageNetStd
			if p.ImageMean != nil {
				mean = p.ImageMean
			}
			if p.ImageStd != nil {
				std = p.ImageStd
			}
		}
		if p.Resample != nil {
			r.filter = resampling(*p.Resample)
		}
	}
	for c := range 3 {
		r.norm.scale[c] = float32(rescale / std[c])
		r.norm.shift[c] = float32(-mean[c] / std[c])
	}
}

func (r *recipe) setSize(d description) {
	if d.preprocessor != nil {
		r.size = d.preprocessor.size
	}
	if d.card.Input > 0 {
		r.size = hfSize{Height: d.card.Input, Width: d.card.Input}
	}
	if r.size == (hfSize{}) {
		r.size = hfSize{Height: defaultSide, Width: defaultSide}
	}
}

// inputSize is the input size for a region of the given size. A fixed input and a square size stretch the region; a
// size by the shortest edge preserves the aspect ratio.
func (r *recipe) inputSize(width, height int) (w, h int) {
	w, h = r.size.Width, r.size.Height
	if r.size.ShortestEdge > 0 && w == 0 {
		scale := float64(r.size.ShortestEdge) / float64(min(width, height))
		if long := float64(max(width, height)); r.size.LongestEdge > 0 && long*scale > float64(r.size.LongestEdge) {
			scale = float64(r.size.LongestEdge) / long
		}
		w = min(max(1, int(math.Round(float64(width)*scale))), maxSide)
		h = min(max(1, int(math.Round(float64(height)*scale))), maxSide)
	} else if w == 0 { // only a longest edge
		w, h = defaultSide, defaultSide
	}
	if r.width > 0 {
		w = r.width
	}
	if r.height > 0 {
		h = r.height
	}
	return w, h
}

func (r *recipe) setLabels(d description) {
	switch {
	case len(d.card.Labels) > 0:
		r.labels = d.card.Labels
	case d.config != nil && len(d.config.labels) > 0:
		r.labels = d.config.labels
	case r.family == familyPost || r.classes == 80 || r.classes == 81:
		r.labels = coco80
	case r.classes == 91 || r.classes == 92:
		r.labels = coco91()
	}
}

// setCattle marks the classes that count as cattle.
func (r *recipe) setCattle(wanted []string) error {
	if len(wanted) == 0 {
		if !isCOCO(r.labels) {
			return nil
		}
		wanted = cocoAnimals
	}
	var err error
	r.counts, err = r.mark("cattle", wanted)
	return err
}

// mark marks classes by their names. An unknown name is an error: the count would be zero. key is for the error.
func (r *recipe) mark(key string, wanted []string) ([]bool, error) {
	marks := make([]bool, len(r.labels))
	for _, name := range wanted {
		i, ok := labelIndex(r.labels, name)
		if !ok {
			return nil, fmt.Errorf("%s: the model has no class %q; its classes are %s: %w", key, name,
				strings.Join(r.labels[:min(len(r.labels), 100)], ", "), ErrCard)
		}
		if i >= len(marks) {
			marks = append(marks, make([]bool, i+1-len(marks))...)
		}
		marks[i] = true
	}
	return marks, nil
}

// noObject reports whether the last of n classes stands for no object: with softmax it always does, and in RF-DETR when
// it was trained with classes of its own. COCO's numbers use every class.
func (r *recipe) noObject(n int) bool {
	return r.scores == scoresSoftmax || r.family == familyRF && !isCOCO(r.labels) && len(r.labels) < n
}

// counted reports whether the class counts as cattle.
func (r *recipe) counted(class int) bool {
	return class >= 0 && !r.other(class) && (r.counts == nil || class < len(r.counts) && r.counts[class])
}

// other reports whether the class is another animal.
func (r *recipe) other(class int) bool { return class >= 0 && class < len(r.others) && r.others[class] }

// kept reports whether boxes of the class are wanted.
func (r *recipe) kept(class int) bool { return r.counted(class) || r.other(class) }

// label names a class.
func (r *recipe) label(class int) string {
	if class >= 0 && class < len(r.labels) && r.labels[class] != "" {
		return r.labels[class]
	}
	return fmt.Sprintf("class %d", class)
}

// cattleLabels lists the names of the classes that count, nil for all.
func (r *recipe) cattleLabels() []string {
	var list []string
	for i, yes := range r.counts {
		if yes {
			list = append(list, r.label(i))
		}
	}
	return slices.Clip(list)
}
