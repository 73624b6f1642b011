package tally

// fitted are the constants of the interval. make calibrate ARGS=--write renews this file.
var fitted = Model{
	Below: 1.118, Above: 1.365, Share: -3.368, Each: 0.000, Doubt: 0.400, Edge: 0.140, Base: 0.180,
	Weights: [Weights]float64{
		0.500, // small
		0.000, // large
		0.100, // spread
		0.900, // crowded
		1.600, // brief
		1.388, // missed
		3.175, // unsure
		0.350, // merged
		0.000, // walking
		3.000, // guessed
		0.000, // poor
		1.000, // hasty
		1.350, // faint
	},
}
