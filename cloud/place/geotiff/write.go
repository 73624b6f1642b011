package geotiff

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"io"
	"math"
	"slices"
)

// Picture is a colour picture with its place on the earth: north is up, and each pixel covers an area of StepLon x StepLat
// degrees.
type Picture struct {
	Width, Height    int     // pixels, each from 1 to MostSide
	West, North      float64 // WGS 84 degrees of the upper left corner of the upper left pixel
	StepLon, StepLat float64 // degrees per pixel, above 0
	// About are further facts for people and programs, by name, in this order.
	About [][2]string
	// Rows draws the rows from top to bottom, the last one not included. Pixels without alpha are not seen. Write asks for the
	// rows from the top down, each once, TileSide of them at a time.
	Rows func(top, bottom int) (*image.RGBA, error)
}

const (
	// TileSide is the side of a tile in pixels.
	TileSide = 512
	// MostSide is the longest side of a picture in pixels.
	MostSide    = 1 << 16
	tileQuality = 85
)

// background is the colour of what is not seen, for programs without masks.
var background = color.RGBA{118, 118, 118, 255}

// Write writes p as a baseline TIFF 6.0 file with the keys of GeoTIFF 1.1 (OGC 19-008r4) for WGS 84 (EPSG:4326): tiles of
// JPEG in YCbCr (TIFF Technical Note 2), and a mask of what is seen as a second image. A band of TileSide rows and the
// compressed tiles are in memory. The same picture has the same bytes.
func Write(w io.Writer, p Picture) error {
	if p.Width < 1 || p.Height < 1 || p.Width > MostSide || p.Height > MostSide || !(p.StepLon > 0) || !(p.StepLat > 0) {
		return fmt.Errorf("write GeoTIFF: %dx%d pixels of %g x %g degrees", p.Width, p.Height, p.StepLon, p.StepLat)
	}
	t := tiles{blank: -1}
	for top := 0; top < p.Height; top += TileSide {
		rows, err := p.Rows(top, min(top+TileSide, p.Height))
		if err != nil {
			return fmt.Errorf("write GeoTIFF: rows from %d: %w", top, err)
		}
		if err := t.add(rows, top, p.Width); err != nil {
			return fmt.Errorf("write GeoTIFF: rows from %d: %w", top, err)
		}
	}
	return p.assemble(w, &t)
}

// tiles are the compressed tiles so far, in the order of TIFF. Tiles of which nothing is seen share their bytes.
type tiles struct {
	data         bytes.Buffer
	colour, mask []span
	blank        int // a tile of which nothing is seen, -1 for none
}

// span are the bytes of a tile.
type span struct{ from, length int }

// add compresses a row of tiles.
func (t *tiles) add(rows *image.RGBA, top, width int) error {
	for left := 0; left < width; left += TileSide {
		at := image.Rect(left, top, left+TileSide, top+TileSide)
		seen, any := maskOf(rows, at)
		if !any && t.blank >= 0 {
			t.colour, t.mask = append(t.colour, t.colour[t.blank]), append(t.mask, t.mask[t.blank])
			continue
		}
		tile := image.NewRGBA(at)
		draw.Draw(tile, at, image.NewUniform(background), image.Point{}, draw.Src)
		draw.Draw(tile, at, rows, at.Min, draw.Over)
		from := t.data.Len()
		if err := jpeg.Encode(&t.data, tile, &jpeg.Options{Quality: tileQuality}); err != nil {
			return err
		}
		t.colour = append(t.colour, span{from, t.data.Len() - from})
		from = t.data.Len()
		z := zlib.NewWriter(&t.data)
		_, err := z.Write(seen)
		if err := errors.Join(err, z.Close()); err != nil {
			return err
		}
		t.mask = append(t.mask, span{from, t.data.Len() - from})
		if !any {
			t.blank = len(t.mask) - 1
		}
	}
	return nil
}

// maskOf has a bit for each pixel of a tile that is seen.
func maskOf(rows *image.RGBA, at image.Rectangle) (bits []byte, any bool) {
	bits = make([]byte, TileSide*TileSide/8)
	in := at.Intersect(rows.Rect)
	for y := in.Min.Y; y < in.Max.Y; y++ {
		for x := in.Min.X; x < in.Max.X; x++ {
			if rows.Pix[rows.PixOffset(x, y)+3] != 0 {
				k := (y-at.Min.Y)*TileSide + x - at.Min.X
				bits[k/8] |= 0x80 >> (k % 8)
				any = true
			}
		}
	}
	return bits, any
}

// Numbers of the tags of TIFF and GeoTIFF that are written or read here.
const (
	tagSubfile      = 254
	tagWidth        = 256
	tagHeight       = 257
	tagBits         = 258
	tagCompression  = 259
	tagPhotometric  = 262
	tagDescription  = 270
	tagStripOffsets = 273
	tagSamples      = 277
	tagRowsPerStrip = 278
	tagStripBytes   = 279
	tagPlanar       = 284
	tagPredictor    = 317
	tagTileWidth    = 322
	tagTileHeight   = 323
	tagTileOffsets  = 324
	tagTileBytes    = 325
	tagSampleFormat = 339
	tagSubsampling  = 530
	tagBlackWhite   = 532
	tagPixelScale   = 33550
	tagTiepoint     = 33922
	tagTransform    = 34264
	tagGeoKeys      = 34735
	tagGeoDoubles   = 34736
	tagMetadata     = 42112 // of GDAL, as XML
	tagNoData       = 42113 // of GDAL, as text
)

// Values of tags.
const (
	compressionNone, compressionLZW, compressionJPEG, compressionDeflate, compressionOldDeflate = 1, 5, 7, 8, 32946
	photometricYCbCr, photometricMask                                                           = 6, 4
	subfileMask                                                                                 = 4
)

// entry is a tag with its values in their bytes.
type entry struct {
	tag, kind uint16
	count     int
	value     []byte
}

const (
	kindASCII, kindShort, kindLong, kindRational, kindDouble = 2, 3, 4, 5, 12
)

func shorts(tag uint16, v ...uint16) entry {
	b := make([]byte, 0, 2*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint16(b, x)
	}
	return entry{tag, kindShort, len(v), b}
}

func longs(tag uint16, kind uint16, v ...uint32) entry {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, x)
	}
	e := entry{tag, kind, len(v), b}
	if kind == kindRational {
		e.count /= 2
	}
	return e
}

func doubles(tag uint16, v ...float64) entry {
	b := make([]byte, 0, 8*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	return entry{tag, kindDouble, len(v), b}
}

func text(tag uint16, s string) entry { return entry{tag, kindASCII, len(s) + 1, append([]byte(s), 0)} }

// assemble writes the header, the directories of both images, and the tiles.
func (p Picture) assemble(w io.Writer, t *tiles) error {
	common := func(size uint16) []entry {
		return []entry{longs(tagWidth, kindLong, uint32(p.Width)), longs(tagHeight, kindLong, uint32(p.Height)),
			shorts(tagPlanar, 1), shorts(tagTileWidth, size), shorts(tagTileHeight, size)}
	}
	about := "<GDALMetadata>\n"
	for _, a := range p.About {
		about += fmt.Sprintf("  <Item name=\"%s\">%s</Item>\n", html.EscapeString(a[0]), html.EscapeString(a[1]))
	}
	about += "</GDALMetadata>"
	const first = 8
	place := func(shift int) [2][]entry {
		offsets := func(list []span) (at, length []uint32) {
			for _, s := range list {
				at, length = append(at, uint32(shift+s.from)), append(length, uint32(s.length))
			}
			return at, length
		}
		ca, cl := offsets(t.colour)
		ma, ml := offsets(t.mask)
		return [2][]entry{
			append(common(TileSide), shorts(tagBits, 8, 8, 8), shorts(tagCompression, compressionJPEG),
				shorts(tagPhotometric, photometricYCbCr), shorts(tagSamples, 3), shorts(tagSubsampling, 2, 2),
				longs(tagBlackWhite, kindRational, 0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1),
				longs(tagTileOffsets, kindLong, ca...), longs(tagTileBytes, kindLong, cl...),
				doubles(tagPixelScale, p.StepLon, p.StepLat, 0), doubles(tagTiepoint, 0, 0, 0, p.West, p.North, 0),
				// Version 1.1.0; a geographic system; a pixel is an area; WGS 84; degrees.
				shorts(tagGeoKeys, 1, 1, 0, 4, 1024, 0, 1, 2, 1025, 0, 1, 1, 2048, 0, 1, 4326, 2054, 0, 1, 9102),
				text(tagMetadata, about)),
			append(common(TileSide), longs(tagSubfile, kindLong, subfileMask), shorts(tagBits, 1),
				shorts(tagCompression, compressionDeflate), shorts(tagPhotometric, photometricMask), shorts(tagSamples, 1),
				longs(tagTileOffsets, kindLong, ma...), longs(tagTileBytes, kindLong, ml...)),
		}
	}
	// The size of the directories does not depend on where the tiles are.
	head := directories(place(0), first)
	if int64(len(head))+int64(t.data.Len()) > math.MaxUint32 {
		return errors.New("write GeoTIFF: it is larger than 4 GB")
	}
	head = directories(place(first+len(head)), first)
	for _, b := range [][]byte{{'I', 'I', 42, 0, first, 0, 0, 0}, head, t.data.Bytes()} {
		if _, err := w.Write(b); err != nil {
			return fmt.Errorf("write GeoTIFF: %w", err)
		}
	}
	return nil
}

// directories lays out the directories of two images that begin at a byte of the file, each with its long values behind it.
func directories(images [2][]entry, at int) (out []byte) {
	for i, list := range images {
		slices.SortFunc(list, func(a, b entry) int { return int(a.tag) - int(b.tag) })
		size := 2 + 12*len(list) + 4
		var long []byte
		out = binary.LittleEndian.AppendUint16(out, uint16(len(list)))
		for _, e := range list {
			out = binary.LittleEndian.AppendUint16(out, e.tag)
			out = binary.LittleEndian.AppendUint16(out, e.kind)
			out = binary.LittleEndian.AppendUint32(out, uint32(e.count))
			if len(e.value) <= 4 {
				out = append(out, append(e.value, 0, 0, 0, 0)[:4]...)
				continue
			}
			out = binary.LittleEndian.AppendUint32(out, uint32(at+size+len(long)))
			long = append(long, e.value...)
			if len(long)%2 == 1 {
				long = append(long, 0)
			}
		}
		next := uint32(at + size + len(long))
		if i == len(images)-1 {
			next = 0
		}
		out = append(binary.LittleEndian.AppendUint32(out, next), long...)
		at += size + len(long)
	}
	return out
}
