// The decoder child: a process of this program that runs nothing but libavformat and libavcodec, without Go, files and
// network. child.c begins it, sandbox.c takes its rights away, input.c reads the clip, demux.c finds the pictures,
// decode.c decodes them, damage.c
// finds damage that the decoder hides, convert.c turns them into BGR, events.c writes what the parent reads.
#ifndef CATTLE_CHILD_H
#define CATTLE_CHILD_H

#include <stdint.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>

// Files that the parent opens for the child.
enum {
	FD_EVENTS = 3, // pipe: events to the parent
	FD_ORDERS = 4, // pipe: one uint32 per wanted picture, the number of frames to go forward
	FD_PICTURE = 5, // memfd: the wanted picture, BGR without padding
	FD_INPUT = 6, // the clip as a regular file, or a socket that answers reads
};

// The file of the picture is this many bytes larger than the picture: FFmpeg's conversion may write beyond the end of a
// row. picturePadding in child.go has the same.
enum { PICTURE_PADDING = 256 };

// What the parent asks for. The order of the arguments is that of arguments in child.go.
struct config {
	const char *format; // name of the demuxer: mov, matroska, avi or mpegts
	int64_t size; // bytes of the clip
	int streamed; // FD_INPUT is a socket
	int threads;
	int64_t max_pixels; // per picture
	int64_t max_memory; // bytes
	int64_t max_cpu; // seconds
	const char *hardware; // empty, cuda or vaapi
	const char *device; // of the hardware; empty: the first one
	int strict; // an incomplete sandbox is an error
};

// Classes of the errors that end the child. fault.go has the same words.
#define CLASS_DECODE "decode"
#define CLASS_NOT_VIDEO "not-video"
#define CLASS_LIMIT "limit"
#define CLASS_MEMORY "memory"
#define CLASS_HARDWARE "hardware"
#define CLASS_ISOLATION "isolation"
#define CLASS_READ "read"

// One decoded frame, or one lost packet, as the parent reads it: 24 bytes, little-endian.
struct record {
	int64_t pts; // nanoseconds from the start of the stream's clock; INT64_MIN when unknown
	uint32_t width, height; // as decoded
	uint32_t flags;
	uint32_t padding;
};

enum {
	RECORD_DAMAGED = 1, // decoded from damaged data
	RECORD_LOST = 2, // no frame: a packet that cannot be decoded
};

// events.c
void add_record(struct record r); // waits in memory until the next event
void flush_records(char kind); // 'F': frames; 'P': the last one has its picture in FD_PICTURE
void event_text(char kind, const char *text, size_t length);
_Noreturn void fail(const char *class, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint32_t wait_order(void); // frames to go forward; exits when the parent has closed

// A growing text, for JSON.
struct text {
	char *b;
	size_t n, cap;
};
void text_add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_string(struct text *t, const char *name, const char *value);

// sandbox.c
struct isolation {
	int seccomp, landlock; // landlock: version of the kernel's interface, 0 without
};
void set_limits(const struct config *c);
struct isolation enter_sandbox(const struct config *c);
void try_escapes(const char *path, const char *address);

// input.c
AVIOContext *open_input(const struct config *c);
int input_failed(void); // a read of the input failed in the parent or on disk

// demux.c
struct clip {
	AVFormatContext *format;
	AVStream *stream; // the chosen one
	const AVCodec *codec;
};
struct clip open_clip(const struct config *c, AVIOContext *io);
void describe_clip(struct text *t, const struct clip *clip, const AVCodecContext *codec, const AVFrame *first);

// decode.c
struct decoder;
void check_hardware(const struct config *c);
struct decoder *open_decoder(const struct config *c, struct clip *clip);
AVFrame *next_frame(struct decoder *d); // NULL at the end
AVCodecContext *decoder_codec(struct decoder *d);
void describe_end(struct decoder *d, struct text *t);

// damage.c
struct damage {
	int active; // until the next key frame
	int64_t at[64]; // time stamps of damaged packets whose frames are not out yet
	int n;
};
void listen_to_decoder(void);
int heard_complaints(void); // a number that grows with each fault that the decoder reports
void add_damage(struct damage *d, int64_t pts);
int is_damaged(struct damage *d, const AVFrame *f);
int has_hole(const AVPacket *p, enum AVCodecID id);

// convert.c
void convert_frame(const AVFrame *f, uint8_t *to, int width, int height);

#endif
