package tally

// fitted are the constants of the interval. make calibrate ARGS=--write renews this file.
var fitted = Model{
	Below: 0.998, Above: 1.282, Share: -3.162, Each: 0.210,
	Weights: [Weights]float64{
		0.625, // small
		0.275, // large
		0.000, // spread
		0.500, // crowded
		1.337, // brief
		0.000, // edge
		0.787, // missed
		0.000, // unsure
		1.288, // merged
		0.000, // walking
		1.488, // lost
		2.200, // guessed
		1.000, // poor
	},
}
