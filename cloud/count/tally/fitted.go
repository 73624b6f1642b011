package tally

// fitted are the constants of the interval. make calibrate ARGS=--write renews this file.
var fitted = Model{Below: 1, Above: 1, Share: -1.61, Each: 0.1}
