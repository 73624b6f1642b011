#include "child.h"

#include <string.h>

#include <libavutil/hwcontext.h>
#include <libavutil/pixdesc.h>

struct decoder {
	AVFormatContext *format;
	AVStream *stream;
	AVCodecContext *codec;
	AVPacket *packet;
	AVFrame *frame, *copy; // copy: out of the memory of the hardware
	enum AVPixelFormat hardware; // AV_PIX_FMT_NONE without hardware
	int draining;
	struct damage damage;
	int64_t packets, lost; // of the stream
	int unreadable; // consecutive faults of the demuxer
};

enum { MOST_UNREADABLE = 10000 };

static enum AVPixelFormat choose_format(AVCodecContext *codec, const enum AVPixelFormat *offered) {
	struct decoder *d = codec->opaque;
	for (const enum AVPixelFormat *f = offered; *f != AV_PIX_FMT_NONE; f++)
		if (*f == d->hardware)
			return *f;
	fail(CLASS_HARDWARE, "the hardware cannot decode this clip (codec %s, profile %d)", codec->codec->name, codec->profile);
}

static AVBufferRef *open_hardware(const struct config *c) {
	enum AVHWDeviceType type = av_hwdevice_find_type_by_name(c->hardware);
	AVBufferRef *device = NULL;
	if (type == AV_HWDEVICE_TYPE_NONE)
		fail(CLASS_HARDWARE, "this build cannot decode with %s", c->hardware);
	int r = av_hwdevice_ctx_create(&device, type, *c->device ? c->device : NULL, NULL, 0);
	if (r < 0)
		fail(CLASS_HARDWARE, "the %s device %s cannot be opened: %s", c->hardware, c->device, av_err2str(r));
	return device;
}

void check_hardware(const struct config *c) { open_hardware(c); }

// use_hardware prepares decoding by a GPU. A machine without it is an error: a silent change to the processor would
// hide why a worker is slow.
static void use_hardware(struct decoder *d, const struct config *c) {
	AVBufferRef *device = open_hardware(c);
	enum AVHWDeviceType type = av_hwdevice_find_type_by_name(c->hardware);
	for (int i = 0;; i++) {
		const AVCodecHWConfig *offer = avcodec_get_hw_config(d->codec->codec, i);
		if (!offer)
			fail(CLASS_HARDWARE, "%s cannot decode the codec %s", c->hardware, d->codec->codec->name);
		if (offer->methods & AV_CODEC_HW_CONFIG_METHOD_HW_DEVICE_CTX && offer->device_type == type) {
			d->hardware = offer->pix_fmt;
			break;
		}
	}
	d->codec->hw_device_ctx = device;
	d->codec->get_format = choose_format;
}

struct decoder *open_decoder(const struct config *c, struct clip *clip) {
	struct decoder *d = av_mallocz(sizeof *d);
	if (!d || !(d->codec = avcodec_alloc_context3(clip->codec)) || !(d->packet = av_packet_alloc()) ||
		!(d->frame = av_frame_alloc()) || !(d->copy = av_frame_alloc()))
		fail(CLASS_MEMORY, "no memory for the decoder");
	d->format = clip->format;
	d->stream = clip->stream;
	d->hardware = AV_PIX_FMT_NONE;
	int r = avcodec_parameters_to_context(d->codec, clip->stream->codecpar);
	if (r < 0)
		fail(CLASS_DECODE, "the headers of the codec %s are not valid: %s", clip->codec->name, av_err2str(r));
	listen_to_decoder();
	d->codec->opaque = d;
	d->codec->pkt_timebase = clip->stream->time_base;
	d->codec->thread_count = c->threads;
	d->codec->max_pixels = c->max_pixels;
	if (*c->hardware)
		use_hardware(d, c);
	if ((r = avcodec_open2(d->codec, clip->codec, NULL)) < 0)
		fail(r == AVERROR(ENOMEM) ? CLASS_MEMORY : CLASS_DECODE, "the codec %s cannot be opened: %s", clip->codec->name,
			av_err2str(r));
	return d;
}

AVCodecContext *decoder_codec(struct decoder *d) { return d->codec; }

static int64_t nanoseconds(const struct decoder *d, int64_t pts) {
	if (pts == AV_NOPTS_VALUE)
		return INT64_MIN;
	return av_rescale_q(pts, d->stream->time_base, (AVRational){1, 1000000000});
}

static void lose_packet(struct decoder *d, int64_t pts) {
	d->lost++;
	add_damage(&d->damage, pts);
	add_record((struct record){.pts = nanoseconds(d, pts), .flags = RECORD_LOST});
}

// read_packet gets the next packet of the stream. 0 at the end.
static int read_packet(struct decoder *d) {
	for (;;) {
		int r = av_read_frame(d->format, d->packet);
		if (r == AVERROR(ENOMEM))
			fail(CLASS_MEMORY, "the clip needs more memory than the limit");
		if (input_failed())
			return 0;
		if (r == AVERROR_EOF || (r < 0 && avio_feof(d->format->pb)))
			return 0;
		if (r < 0) {
			if (++d->unreadable > MOST_UNREADABLE)
				return 0;
			continue;
		}
		d->unreadable = 0;
		if (d->packet->stream_index == d->stream->index)
			return 1;
		av_packet_unref(d->packet);
	}
}

// feed gives the decoder one packet, or the end of the clip. A packet that cannot be decoded is recorded and skipped.
static void feed(struct decoder *d) {
	if (!read_packet(d)) {
		d->draining = 1;
		avcodec_send_packet(d->codec, NULL);
		return;
	}
	d->packets++;
	int64_t pts = d->packet->pts != AV_NOPTS_VALUE ? d->packet->pts : d->packet->dts;
	int before = heard_complaints();
	int r = avcodec_send_packet(d->codec, d->packet);
	if (r == AVERROR(ENOMEM))
		fail(CLASS_MEMORY, "a picture of %dx%d pixels needs more memory than the limit", d->codec->width, d->codec->height);
	if (r < 0)
		lose_packet(d, pts);
	else if (d->packet->flags & AV_PKT_FLAG_CORRUPT || heard_complaints() != before ||
		has_hole(d->packet, d->codec->codec_id))
		add_damage(&d->damage, pts);
	av_packet_unref(d->packet);
}

static AVFrame *in_memory(struct decoder *d) {
	if (d->hardware == AV_PIX_FMT_NONE || d->frame->format != d->hardware)
		return d->frame;
	av_frame_unref(d->copy);
	int r = av_hwframe_transfer_data(d->copy, d->frame, 0);
	if (r < 0)
		fail(CLASS_HARDWARE, "a frame cannot be read from the hardware: %s", av_err2str(r));
	av_frame_copy_props(d->copy, d->frame);
	return d->copy;
}

static void record_frame(struct decoder *d, const AVFrame *f) {
	struct record r = {.pts = nanoseconds(d, f->best_effort_timestamp), .width = (uint32_t)f->width,
		.height = (uint32_t)f->height};
	if (is_damaged(&d->damage, f))
		r.flags |= RECORD_DAMAGED;
	add_record(r);
}

AVFrame *next_frame(struct decoder *d) {
	for (;;) {
		int r = avcodec_receive_frame(d->codec, d->frame);
		if (r == 0) {
			AVFrame *f = in_memory(d);
			record_frame(d, f);
			return f;
		}
		if (r == AVERROR_EOF)
			return NULL;
		if (r == AVERROR(ENOMEM))
			fail(CLASS_MEMORY, "a picture of %dx%d pixels needs more memory than the limit", d->codec->width,
				d->codec->height);
		if (r != AVERROR(EAGAIN))
			lose_packet(d, AV_NOPTS_VALUE);
		if (!d->draining)
			feed(d);
		else if (r == AVERROR(EAGAIN))
			return NULL;
	}
}

void describe_end(struct decoder *d, struct text *t) {
	text_add(t, "{\"packets\":%lld,\"lost\":%lld,\"read_failed\":%d}", (long long)d->packets,
		(long long)d->lost, input_failed());
}
