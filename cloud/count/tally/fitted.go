package tally

// fitted are the constants of the interval. make calibrate ARGS=--write renews this file.
var fitted = Model{
	Below: 1.201, Above: 1.327, Share: -3.553, Each: 0.170,
	Weights: [Weights]float64{
		0.975, // small
		0.300, // large
		0.000, // spread
		0.700, // crowded
		0.900, // brief
		0.000, // edge
		0.800, // missed
		0.100, // unsure
		0.050, // merged
		0.100, // walking
		2.000, // lost
		2.000, // guessed
		1.000, // poor
	},
}
