#include "child.h"

#include <stdatomic.h>
#include <string.h>

#include <libavutil/log.h>

// complaints counts the faults in pictures that the decoder hides. It logs them, possibly in its threads.
static atomic_int complaints;

// Parts of FFmpeg's messages about damaged pictures in H.264 and H.265. Its other errors are about headers and marks that
// many cameras write carelessly, without harm to a picture.
static const char *const harmful[] = {
	"error while decoding", "concealing", "Invalid NAL unit", "Error splitting", "decode_slice_header error", "cabac decode",
	"block unavailable", "corrupted macroblock", "negative number of zero", "out of range intra", "too large at", "overflow in",
	"Missing reference", "reference overflow", "Reference ", "Invalid level prefix", "P sub_mb_type", "dquant out of range",
	"ref index", "first_mb_in_slice", "Could not find ref", "Slice segment", "CABAC_MAX_BIN", "cu_qp_delta", "PPS id out of range",
	"Error constructing", "Error parsing NAL", "Overread", "undecodable", "First slice in a frame missing", "Duplicate POC",
	"Two slices", "Zero refs", "Invalid slice",
};

static void hear(void *of, int level, const char *format, va_list args) {
	(void)args;
	const AVClass *class = of ? *(const AVClass **)of : NULL;
	if (level > AV_LOG_ERROR || !class || strcmp(class->class_name, "AVCodecContext"))
		return;
	enum AVCodecID codec = ((const AVCodecContext *)of)->codec_id;
	int counts = codec != AV_CODEC_ID_H264 && codec != AV_CODEC_ID_HEVC;
	for (size_t i = 0; i < sizeof harmful / sizeof *harmful && !counts; i++)
		counts = strstr(format, harmful[i]) != NULL;
	if (counts)
		atomic_fetch_add(&complaints, 1);
}

void listen_to_decoder(void) {
	av_log_set_level(AV_LOG_ERROR);
	av_log_set_callback(hear);
}

int heard_complaints(void) { return atomic_load(&complaints); }

// add_damage records damage in the packet at a time.
void add_damage(struct damage *d, int64_t pts) {
	if (pts == AV_NOPTS_VALUE || d->n == sizeof d->at / sizeof *d->at)
		d->active = 1;
	else
		d->at[d->n++] = pts;
}

// is_damaged reports whether a frame shows damage: its own, or that of a frame since the last key frame.
int is_damaged(struct damage *d, const AVFrame *f) {
	int64_t pts = f->best_effort_timestamp;
	int own = 0, before = 0, rest = 0;
	for (int i = 0; i < d->n; i++) {
		own |= d->at[i] == pts;
		before |= d->at[i] <= pts;
		if (d->at[i] > pts)
			d->at[rest++] = d->at[i];
	}
	d->n = rest;
	if (f->key_frame || f->pict_type == AV_PICTURE_TYPE_I)
		d->active = own;
	else if (before)
		d->active = 1;
	return d->active || f->decode_error_flags || f->flags & AV_FRAME_FLAG_CORRUPT;
}

// has_hole reports whether a packet has a run of zeros, as a card leaves where it lost a page. H.264 and H.265 never
// have more than two zero bytes in a row within a unit (ITU-T H.264 section 7.4.1), and a decoder may show noise for
// such bytes without a complaint.
int has_hole(const AVPacket *p, enum AVCodecID id) {
	enum { RUN = 64, PADDING = 4096 };
	if (id != AV_CODEC_ID_H264 && id != AV_CODEC_ID_HEVC)
		return 0;
	int end = p->size;
	while (end > 0 && p->data[end - 1] == 0) // some encoders pad
		end--;
	if (p->size - end > PADDING)
		return 1;
	for (int at = RUN - 1; at < end; at += RUN) { // a run of 2 * RUN - 1 contains such a place
		if (p->data[at])
			continue;
		int from = at, to = at;
		while (from > 0 && !p->data[from - 1])
			from--;
		while (to + 1 < end && !p->data[to + 1])
			to++;
		if (to - from + 1 >= RUN)
			return 1;
	}
	return 0;
}
