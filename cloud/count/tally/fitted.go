package tally

// fitted are the constants of the interval. make calibrate ARGS=--write renews this file.
var fitted = Model{
	Below: 1.033, Above: 1.293, Share: -3.273, Each: 0.003, Doubt: 0.775, Edge: 0.140, Base: 0.000,
	Weights: [Weights]float64{
		0.475, // small
		0.000, // large
		0.000, // spread
		0.900, // crowded
		2.100, // brief
		1.162, // missed
		2.625, // unsure
		0.975, // merged
		0.000, // walking
		2.800, // guessed
		0.000, // poor
		1.050, // hasty
		1.400, // faint
	},
}
