#include "child.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER = 256 << 10 };

static struct {
	int64_t at, size;
	int streamed, failed;
} input;

int input_failed(void) { return input.failed; }

// exact transfers n bytes to or from the socket; 0 when the other end has closed.
static int exact(ssize_t (*transfer)(int, void *, size_t), void *b, size_t n) {
	char *at = b;
	while (n > 0) {
		ssize_t done = transfer(FD_INPUT, at, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return 0;
		at += done;
		n -= (size_t)done;
	}
	return 1;
}

static ssize_t put(int fd, void *b, size_t n) { return write(fd, b, n); }

// ask reads through the parent. A request is offset and length, the answer is a length and the bytes; a negative length
// is a failure.
static int64_t ask(uint8_t *b, int n) {
	struct {
		uint64_t at;
		uint64_t length;
	} request = {(uint64_t)input.at, (uint64_t)n};
	int64_t got;
	if (!exact(put, &request, sizeof request) || !exact(read, &got, sizeof got) || got < 0 || got > n ||
		!exact(read, b, (size_t)got))
		return -1;
	return got;
}

static int read_input(void *opaque, uint8_t *b, int n) {
	(void)opaque;
	if (n > input.size - input.at)
		n = (int)(input.size - input.at);
	if (n <= 0)
		return AVERROR_EOF;
	int64_t got = input.streamed ? ask(b, n) : pread(FD_INPUT, b, (size_t)n, input.at);
	if (got < 0) {
		input.failed = 1;
		return AVERROR(EIO);
	}
	if (got == 0)
		return AVERROR_EOF;
	input.at += got;
	return (int)got;
}

static int64_t seek_input(void *opaque, int64_t offset, int whence) {
	(void)opaque;
	switch (whence & ~AVSEEK_FORCE) {
	case AVSEEK_SIZE:
		return input.size;
	case SEEK_CUR:
		offset += input.at;
		break;
	case SEEK_END:
		offset += input.size;
		break;
	}
	if (offset < 0)
		return AVERROR(EINVAL);
	return input.at = offset;
}

AVIOContext *open_input(const struct config *c) {
	input.size = c->size;
	input.streamed = c->streamed;
	uint8_t *buffer = av_malloc(BUFFER);
	AVIOContext *io = buffer ? avio_alloc_context(buffer, BUFFER, 0, NULL, read_input, NULL, seek_input) : NULL;
	if (!io)
		fail(CLASS_MEMORY, "no memory for the input buffer");
	return io;
}
