// The encoder of the annotated video: RGBA pictures of this program in, an H.264 MP4 file out. It reads no footage, so it
// runs in the program itself.
#ifndef CATTLE_ENCODE_H
#define CATTLE_ENCODE_H

#include <stdint.h>

struct encoder;

// Opens the file path. Times are milliseconds. Returns NULL and a text in why after an error.
struct encoder *cattle_encoder_open(const char *path, int width, int height, double rate, int64_t bits_per_second,
	int key_frames, char *why, int why_size);

// Appends a picture of width * height * 4 bytes. ms must grow. Returns 0, or -1 and a text in why.
int cattle_encoder_write(struct encoder *e, const uint8_t *rgba, int64_t ms, char *why, int why_size);

// Completes the file; the last picture is shown until end_ms. Frees e. Returns 0, or -1 and a text in why.
int cattle_encoder_close(struct encoder *e, int64_t end_ms, char *why, int why_size);

#endif
