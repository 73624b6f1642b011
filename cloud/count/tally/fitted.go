package tally

// fitted are the constants of the interval. make calibrate ARGS=--write renews this file.
var fitted = Model{
	Below: 1.512, Above: 2.092, Share: -4.089, Each: 0.000, Doubt: 1.456, Edge: 0.120, Base: 0.000,
	Weights: [Weights]float64{
		1.300, // small
		0.000, // large
		0.000, // spread
		0.000, // crowded
		2.000, // brief
		0.625, // missed
		1.700, // unsure
		0.000, // merged
		0.200, // walking
		1.525, // guessed
		0.437, // poor
		1.900, // hasty
		3.275, // faint
	},
}
