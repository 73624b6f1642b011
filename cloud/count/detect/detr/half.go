package detr

import (
	"encoding/binary"
	"math"
)

// toHalf rounds a value to the nearest number of 16 bits (IEEE 754 binary16), ties to even. Values beyond its range
// become infinite.
func toHalf(v float32) uint16 {
	b := math.Float32bits(v)
	sign, rest := uint16(b>>16)&0x8000, b&0x7fffffff
	switch {
	case rest > 0x7f800000: // NaN
		return sign | 0x7e00
	case rest >= 0x477ff000: // rounds beyond 65504
		return sign | 0x7c00
	case rest < 0x38800000: // below the smallest normal number: steps of 2^-24
		const steps = 1 << 24
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(rest))*steps))
	}
	rest += 0xfff + rest>>13&1
	return sign | uint16((rest-0x38000000)>>13)
}

// fromHalf is the value of 16 bits.
func fromHalf(h uint16) float32 {
	exponent, fraction := int(h>>10&0x1f), float64(h&0x3ff)
	var v float64
	switch exponent {
	case 0:
		v = math.Ldexp(fraction, -24)
	case 0x1f:
		v = math.Inf(1)
		if fraction != 0 {
			v = math.NaN()
		}
	default:
		v = math.Ldexp(fraction+1024, exponent-25)
	}
	if h&0x8000 != 0 {
		v = -v
	}
	return float32(v)
}

// packHalf writes values as 16 bits each, little-endian as ONNX Runtime has them on all its platforms here.
func packHalf(dst []byte, values []float32) {
	for i, v := range values {
		binary.LittleEndian.PutUint16(dst[2*i:], toHalf(v))
	}
}

// unpackHalf is the inverse of packHalf.
func unpackHalf(b []byte) []float32 {
	out := make([]float32, len(b)/2)
	for i := range out {
		out[i] = fromHalf(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return out
}
