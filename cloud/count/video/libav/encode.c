#include "encode.h"

#include <stdio.h>
#include <stdlib.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>

enum { MS_PER_SECOND = 1000 };

struct encoder {
	AVFormatContext *file;
	AVCodecContext *codec;
	AVStream *stream;
	struct SwsContext *convert;
	AVFrame *picture;
	AVPacket *packet;
	int64_t last; // time of the last picture
	int64_t end; // time at which it ends; for the last packet
};

static int failed(char *why, int size, const char *what, int code)
{
	char text[AV_ERROR_MAX_STRING_SIZE] = "";
	if (code < 0)
		av_strerror(code, text, sizeof text);
	snprintf(why, size, "%s%s%s", what, text[0] ? ": " : "", text);
	return -1;
}

static void discard(struct encoder *e)
{
	if (e->file && e->file->pb)
		avio_closep(&e->file->pb);
	avformat_free_context(e->file);
	avcodec_free_context(&e->codec);
	sws_freeContext(e->convert);
	av_frame_free(&e->picture);
	av_packet_free(&e->packet);
	free(e);
}

// The encoder that browsers' H.264 comes from. ultrafast with a search to half a pixel and the deblocking filter takes 0.6
// of the time of superfast here, for files that are a tenth larger. No look-ahead and few references bound the memory.
static int open_codec(struct encoder *e, int width, int height, double rate, int64_t bits, int key_frames, char *why,
	int size)
{
	const AVCodec *codec = avcodec_find_encoder_by_name("libx264");
	if (!codec)
		return failed(why, size, "FFmpeg has no encoder libx264", 0);
	e->codec = avcodec_alloc_context3(codec);
	if (!e->codec)
		return failed(why, size, "no memory", 0);
	AVCodecContext *c = e->codec;
	c->width = width;
	c->height = height;
	c->pix_fmt = AV_PIX_FMT_YUV420P;
	c->time_base = (AVRational){ 1, MS_PER_SECOND };
	c->framerate = av_d2q(rate, MS_PER_SECOND);
	c->gop_size = key_frames;
	c->max_b_frames = 0; // the time of a picture is its place in the file, which makes seeking plain
	c->rc_max_rate = bits;
	c->rc_buffer_size = bits > INT32_MAX / 2 ? INT32_MAX : 2 * bits;
	c->thread_count = 1;
	c->colorspace = AVCOL_SPC_BT709;
	c->color_primaries = AVCOL_PRI_BT709;
	c->color_trc = AVCOL_TRC_BT709;
	c->color_range = AVCOL_RANGE_MPEG;
	if (e->file->oformat->flags & AVFMT_GLOBALHEADER)
		c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
	AVDictionary *options = NULL;
	av_dict_set(&options, "preset", "ultrafast", 0);
	av_dict_set(&options, "profile", "main", 0);
	av_dict_set(&options, "crf", "28", 0);
	av_dict_set(&options, "x264-params", "subme=1:deblock=0,0", 0);
	int code = avcodec_open2(c, codec, &options);
	av_dict_free(&options);
	return code < 0 ? failed(why, size, "start the encoder", code) : 0;
}

static int open_file(struct encoder *e, const char *path, char *why, int size)
{
	e->stream = avformat_new_stream(e->file, NULL);
	if (!e->stream)
		return failed(why, size, "no memory", 0);
	e->stream->time_base = e->codec->time_base;
	e->stream->avg_frame_rate = e->codec->framerate;
	int code = avcodec_parameters_from_context(e->stream->codecpar, e->codec);
	if (code < 0)
		return failed(why, size, "describe the stream", code);
	if ((code = avio_open(&e->file->pb, path, AVIO_FLAG_WRITE)) < 0)
		return failed(why, size, "create the file", code);
	AVDictionary *options = NULL;
	av_dict_set(&options, "movflags", "+faststart", 0); // the index first, so that a browser plays and seeks at once
	code = avformat_write_header(e->file, &options);
	av_dict_free(&options);
	if (code < 0)
		return failed(why, size, "write the header", code);
	return 0;
}

static int open_picture(struct encoder *e, char *why, int size)
{
	AVCodecContext *c = e->codec;
	e->packet = av_packet_alloc();
	e->picture = av_frame_alloc();
	if (!e->packet || !e->picture)
		return failed(why, size, "no memory", 0);
	e->picture->format = c->pix_fmt;
	e->picture->width = c->width;
	e->picture->height = c->height;
	int code = av_frame_get_buffer(e->picture, 0);
	if (code < 0)
		return failed(why, size, "memory for a picture", code);
	e->convert = sws_getContext(c->width, c->height, AV_PIX_FMT_RGBA, c->width, c->height, c->pix_fmt, SWS_BILINEAR,
		NULL, NULL, NULL);
	if (!e->convert)
		return failed(why, size, "start the conversion of colours", 0);
	const int *to = sws_getCoefficients(SWS_CS_ITU709);
	sws_setColorspaceDetails(e->convert, to, 1, to, 0, 0, 1 << 16, 1 << 16);
	return 0;
}

struct encoder *cattle_encoder_open(const char *path, int width, int height, double rate, int64_t bits_per_second,
	int key_frames, char *why, int why_size)
{
	av_log_set_level(AV_LOG_QUIET); // errors have their text in why
	struct encoder *e = calloc(1, sizeof *e);
	if (!e) {
		failed(why, why_size, "no memory", 0);
		return NULL;
	}
	e->last = -1;
	int code = avformat_alloc_output_context2(&e->file, NULL, "mp4", path);
	if (code < 0) {
		failed(why, why_size, "start the container", code);
		free(e);
		return NULL;
	}
	if (open_codec(e, width, height, rate, bits_per_second, key_frames, why, why_size) < 0 ||
		open_file(e, path, why, why_size) < 0 || open_picture(e, why, why_size) < 0) {
		discard(e);
		return NULL;
	}
	return e;
}

// Writes the packets that the encoder has ready.
static int drain(struct encoder *e, char *why, int size)
{
	for (;;) {
		int code = avcodec_receive_packet(e->codec, e->packet);
		if (code == AVERROR(EAGAIN) || code == AVERROR_EOF)
			return 0;
		if (code < 0)
			return failed(why, size, "encode a picture", code);
		e->packet->stream_index = e->stream->index;
		if (e->packet->pts == e->last && e->end > e->last)
			e->packet->duration = e->end - e->last;
		av_packet_rescale_ts(e->packet, e->codec->time_base, e->stream->time_base);
		if ((code = av_interleaved_write_frame(e->file, e->packet)) < 0)
			return failed(why, size, "write a picture", code);
	}
}

int cattle_encoder_write(struct encoder *e, const uint8_t *rgba, int64_t ms, char *why, int why_size)
{
	if (ms <= e->last)
		return failed(why, why_size, "the time of a picture is not after that of the one before", 0);
	int code = av_frame_make_writable(e->picture);
	if (code < 0)
		return failed(why, why_size, "memory for a picture", code);
	const uint8_t *rows[4] = { rgba };
	int stride[4] = { e->codec->width * 4 };
	sws_scale(e->convert, rows, stride, 0, e->codec->height, e->picture->data, e->picture->linesize);
	e->picture->pts = ms;
	e->last = ms;
	if ((code = avcodec_send_frame(e->codec, e->picture)) < 0)
		return failed(why, why_size, "encode a picture", code);
	return drain(e, why, why_size);
}

int cattle_encoder_close(struct encoder *e, int64_t end_ms, char *why, int why_size)
{
	int result = 0;
	e->end = end_ms;
	if (e->last >= 0) {
		int code = avcodec_send_frame(e->codec, NULL);
		if (code < 0)
			result = failed(why, why_size, "complete the stream", code);
		else
			result = drain(e, why, why_size);
	}
	int code = av_write_trailer(e->file);
	if (code < 0 && result == 0)
		result = failed(why, why_size, "complete the file", code);
	if ((code = avio_closep(&e->file->pb)) < 0 && result == 0)
		result = failed(why, why_size, "close the file", code);
	discard(e);
	return result;
}
