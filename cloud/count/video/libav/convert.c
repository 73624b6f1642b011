#include "child.h"

#include <string.h>

// convert_frame writes a frame as BGR rows without padding. A frame of another size than width x height is scaled to
// fit, with black borders: a clip whose picture changes its size keeps one scale of its animals.
void convert_frame(const AVFrame *f, uint8_t *to, int width, int height) {
	static struct SwsContext *scaler;
	int w = width, h = height;
	if (f->width != width || f->height != height) {
		if ((int64_t)f->width * height > (int64_t)f->height * width)
			h = (int)((int64_t)width * f->height / f->width);
		else
			w = (int)((int64_t)height * f->width / f->height);
		w = w < 1 ? 1 : w;
		h = h < 1 ? 1 : h;
	}
	scaler = sws_getCachedContext(scaler, f->width, f->height, f->format, w, h, AV_PIX_FMT_BGR24, SWS_BICUBIC, NULL, NULL,
		NULL);
	if (!scaler)
		fail(CLASS_DECODE, "pixel format %d of %dx%d pixels cannot be converted", f->format, f->width, f->height);
	int left = (width - w) / 2, top = (height - h) / 2;
	size_t row = (size_t)width * 3;
	uint8_t *rows[4] = {to + (size_t)top * row + (size_t)left * 3};
	int stride[4] = {width * 3};
	sws_scale(scaler, (const uint8_t *const *)f->data, f->linesize, 0, f->height, rows, stride);
	for (int y = 0; y < height; y++) { // borders last: the conversion may write beyond the end of a row
		int inside = y >= top && y < top + h;
		memset(to + (size_t)y * row, 0, inside ? (size_t)left * 3 : row);
		if (inside)
			memset(to + (size_t)y * row + (size_t)(left + w) * 3, 0, (size_t)(width - left - w) * 3);
	}
}
