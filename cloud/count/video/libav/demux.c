#include "child.h"

#include <stdlib.h>
#include <string.h>

#include <libavutil/display.h>
#include <libavutil/pixdesc.h>

enum { PROBE = 1 << 20, MOST_STREAMS = 64, MOST_STEPS = 4096 };

// deny_open refuses every further file or address that a demuxer wants.
static int deny_open(AVFormatContext *s, AVIOContext **io, const char *url, int flags, AVDictionary **options) {
	(void)s, (void)io, (void)url, (void)flags, (void)options;
	return AVERROR(EPERM);
}

// check_kind refuses content that FFmpeg takes for another format than its first bytes say: such a file is a playlist or
// an image that was dressed as a video.
static void check_kind(const AVInputFormat *want, AVIOContext *io) {
	uint8_t *b = av_mallocz(PROBE + AVPROBE_PADDING_SIZE);
	if (!b)
		fail(CLASS_MEMORY, "no memory to look at the clip");
	int n = 0;
	while (n < PROBE) {
		int got = avio_read(io, b + n, PROBE - n);
		if (got <= 0)
			break;
		n += got;
	}
	int score = 0;
	AVProbeData p = {.filename = "", .buf = b, .buf_size = n};
	const AVInputFormat *found = av_probe_input_format3(&p, 1, &score);
	av_free(b);
	if (found && found != want && score > AVPROBE_SCORE_RETRY)
		fail(CLASS_NOT_VIDEO, "the content looks like %s, but its first bytes like %s", found->name, want->name);
	if (avio_seek(io, 0, SEEK_SET) < 0)
		fail(CLASS_READ, "the clip cannot be read");
	io->eof_reached = 0;
}

static int64_t pictures(const AVStream *s) {
	int64_t n = avformat_index_get_entries_count(s);
	return n > s->nb_frames ? n : s->nb_frames;
}

static int is_picture_codec(enum AVCodecID id) {
	switch (id) {
	case AV_CODEC_ID_MJPEG:
	case AV_CODEC_ID_PNG:
	case AV_CODEC_ID_BMP:
	case AV_CODEC_ID_GIF:
	case AV_CODEC_ID_WEBP:
	case AV_CODEC_ID_TIFF:
		return 1;
	default:
		return 0;
	}
}

// rank orders the video streams of a clip: a cover, a thumbnail or a track with one picture comes after any other
// stream, a track of single pictures (a preview) after one of a video codec, a smaller picture after a larger one.
static int64_t rank(const AVStream *s) {
	const AVCodecParameters *p = s->codecpar;
	if (p->codec_type != AVMEDIA_TYPE_VIDEO || !avcodec_find_decoder(p->codec_id))
		return -1;
	int64_t r = (int64_t)p->width * p->height * 2 + (s->disposition & AV_DISPOSITION_DEFAULT ? 1 : 0);
	if (!is_picture_codec(p->codec_id))
		r += (int64_t)1 << 50;
	if (!(s->disposition & (AV_DISPOSITION_ATTACHED_PIC | AV_DISPOSITION_TIMED_THUMBNAILS | AV_DISPOSITION_STILL_IMAGE)))
		r += (int64_t)1 << 52;
	if (pictures(s) != 1)
		r += (int64_t)1 << 51;
	return r;
}

static AVStream *best_stream(const AVFormatContext *f) {
	AVStream *best = NULL;
	for (unsigned i = 0; i < f->nb_streams; i++)
		if (rank(f->streams[i]) > (best ? rank(best) : -1))
			best = f->streams[i];
	return best;
}

static void choose_stream(struct clip *clip) {
	const AVStream *unknown = NULL;
	for (unsigned i = 0; i < clip->format->nb_streams; i++)
		if (clip->format->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_VIDEO)
			unknown = clip->format->streams[i];
	clip->stream = best_stream(clip->format);
	if (!clip->stream && unknown) {
		char tag[AV_FOURCC_MAX_STRING_SIZE] = {0};
		av_fourcc_make_string(tag, unknown->codecpar->codec_tag);
		fail(CLASS_DECODE, "the file has no video stream that this build can decode (codec %s, %s)", tag,
			avcodec_get_name(unknown->codecpar->codec_id));
	}
	if (!clip->stream)
		fail(CLASS_DECODE, "the file has no video stream");
	clip->codec = avcodec_find_decoder(clip->stream->codecpar->codec_id);
	for (unsigned i = 0; i < clip->format->nb_streams; i++)
		if (clip->format->streams[i] != clip->stream)
			clip->format->streams[i]->discard = AVDISCARD_ALL;
}

static void check_size(const struct config *c, const AVStream *s) {
	int64_t n = (int64_t)s->codecpar->width * s->codecpar->height;
	if (n > c->max_pixels)
		fail(CLASS_LIMIT, "pictures of %dx%d pixels, at most %lld pixels are allowed", s->codecpar->width,
			s->codecpar->height, (long long)c->max_pixels);
}


struct clip open_clip(const struct config *c, AVIOContext *io) {
	struct clip clip = {0};
	const AVInputFormat *want = av_find_input_format(c->format);
	if (!want)
		fail(CLASS_DECODE, "this build cannot read the format %s", c->format);
	check_kind(want, io);
	if (!(clip.format = avformat_alloc_context()))
		fail(CLASS_MEMORY, "no memory to open the clip");
	clip.format->pb = io;
	clip.format->io_open = deny_open;
	clip.format->max_streams = MOST_STREAMS;
	AVDictionary *options = NULL;
	av_dict_set(&options, "protocol_whitelist", "none", 0);
	av_dict_set(&options, "format_whitelist", want->name, 0);
	int r = avformat_open_input(&clip.format, "", want, &options);
	av_dict_free(&options);
	if (input_failed())
		fail(CLASS_READ, "the clip cannot be read");
	if (r == AVERROR(ENOMEM))
		fail(CLASS_MEMORY, "the headers of the clip need more memory than the limit");
	if (r < 0)
		fail(CLASS_DECODE, "the headers of the clip cannot be read: %s", av_err2str(r));
	const AVStream *likely = best_stream(clip.format);
	if (likely)
		check_size(c, likely); // before FFmpeg decodes anything
	if (avformat_find_stream_info(clip.format, NULL) == AVERROR(ENOMEM)) // some formats have no headers
		fail(CLASS_MEMORY, "the headers of the clip need more memory than the limit");
	choose_stream(&clip);
	check_size(c, clip.stream);
	return clip;
}

static int compare(const void *a, const void *b) {
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

// median_step is the median time between frames by the index, in nanoseconds; 0 without an index of all frames.
static int64_t median_step(const AVStream *s) {
	int n = avformat_index_get_entries_count(s), steps = 0;
	int64_t step[MOST_STEPS], last = AV_NOPTS_VALUE;
	for (int i = 0; i < n && steps < MOST_STEPS; i++) {
		const AVIndexEntry *e = avformat_index_get_entry((AVStream *)s, i);
		if (last != AV_NOPTS_VALUE && e->timestamp > last)
			step[steps++] = av_rescale_q(e->timestamp - last, s->time_base, (AVRational){1, 1000000000});
		last = e->timestamp;
	}
	if (steps == 0)
		return 0;
	qsort(step, (size_t)steps, sizeof *step, compare);
	return step[steps / 2];
}

// shown counts the frames of the index without those that an edit list hides; 0 without an index of all frames.
static int64_t shown(const AVStream *s) {
	int n = avformat_index_get_entries_count(s);
	int64_t count = 0;
	for (int i = 0; i < n; i++)
		count += !(avformat_index_get_entry((AVStream *)s, i)->flags & AVINDEX_DISCARD_FRAME);
	return count;
}

static int rotation(const AVStream *s) {
	const int32_t *matrix = (const int32_t *)av_stream_get_side_data(s, AV_PKT_DATA_DISPLAYMATRIX, NULL);
	double angle = matrix ? av_display_rotation_get(matrix) : 0;
	if (!(angle >= -360 && angle <= 360))
		return 0;
	return ((int)(angle < 0 ? angle - 0.5 : angle + 0.5) + 720) % 360;
}

static void describe_streams(struct text *t, const struct clip *clip) {
	text_add(t, "\"streams\":[");
	for (unsigned i = 0; i < clip->format->nb_streams; i++) {
		const AVStream *s = clip->format->streams[i];
		const AVDictionaryEntry *handler = av_dict_get(s->metadata, "handler_name", NULL, 0);
		const char *type = av_get_media_type_string(s->codecpar->codec_type);
		char tag[AV_FOURCC_MAX_STRING_SIZE] = {0};
		av_fourcc_make_string(tag, s->codecpar->codec_tag);
		text_add(t, "%s{", i ? "," : "");
		text_string(t, "type", type ? type : "unknown");
		text_add(t, ",");
		text_string(t, "codec", avcodec_get_name(s->codecpar->codec_id));
		text_add(t, ",");
		text_string(t, "tag", tag);
		text_add(t, ",");
		text_string(t, "name", handler ? handler->value : "");
		text_add(t, ",\"width\":%d,\"height\":%d,\"frames\":%lld,\"cover\":%d,\"chosen\":%d}", s->codecpar->width,
			s->codecpar->height, (long long)pictures(s), s->disposition & AV_DISPOSITION_ATTACHED_PIC ? 1 : 0,
			s == clip->stream);
	}
	text_add(t, "]");
}

static int has_full_index(const struct clip *clip) {
	return !strncmp(clip->format->iformat->name, "mov", 3) || !strcmp(clip->format->iformat->name, "avi");
}

void describe_clip(struct text *t, const struct clip *clip, const AVCodecContext *codec, const AVFrame *first) {
	const AVStream *s = clip->stream;
	AVRational guess = av_guess_frame_rate(clip->format, (AVStream *)s, NULL);
	const AVDictionaryEntry *created = av_dict_get(clip->format->metadata, "creation_time", NULL, 0);
	if (!created)
		created = av_dict_get(s->metadata, "creation_time", NULL, 0);
	const char *pixels = av_get_pix_fmt_name(first->format);
	int64_t duration = s->duration != AV_NOPTS_VALUE ? av_rescale_q(s->duration, s->time_base, (AVRational){1, 1000000000}) :
		clip->format->duration != AV_NOPTS_VALUE && clip->format->duration_estimation_method != AVFMT_DURATION_FROM_BITRATE ?
		clip->format->duration * 1000 : 0;
	text_add(t, "\"width\":%d,\"height\":%d,", first->width, first->height);
	text_string(t, "codec", codec->codec->name);
	text_add(t, ",");
	text_string(t, "pixel_format", pixels ? pixels : "");
	text_add(t, ",");
	text_string(t, "created", created ? created->value : "");
	text_add(t, ",\"rate\":%.6f,\"step\":%lld,\"frames\":%lld,\"duration\":%lld,\"rotation\":%d,\"time_base\":[%d,%d],",
		guess.num > 0 && guess.den > 0 ? av_q2d(guess) : 0, (long long)(has_full_index(clip) ? median_step(s) : 0),
		(long long)(has_full_index(clip) ? shown(s) : 0), (long long)duration, rotation(s), s->time_base.num,
		s->time_base.den);
	describe_streams(t, clip);
}
