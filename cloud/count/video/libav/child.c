#include "child.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <libavutil/log.h>

static const char name[] = "cattlecounter-decoder"; // childName in child.go
enum { ARGUMENTS = 11 };

static struct config parse(char **argv) {
	struct config c = {
		.format = argv[1],
		.size = atoll(argv[2]),
		.streamed = atoi(argv[3]),
		.threads = atoi(argv[4]),
		.max_pixels = atoll(argv[5]),
		.max_memory = atoll(argv[6]),
		.max_cpu = atoll(argv[7]),
		.hardware = argv[8],
		.device = argv[9],
		.strict = atoi(argv[10]),
	};
	return c;
}

// serve sends the wanted pictures until the end of the clip. It decodes one frame ahead of the orders.
static void serve(struct decoder *d, AVFrame *frame) {
	int width = frame->width, height = frame->height;
	uint8_t *picture = NULL;
	for (uint32_t order = wait_order(); frame; order = wait_order()) {
		if (!picture) { // the parent has made the file as large as a picture
			size_t size = (size_t)width * (size_t)height * 3 + PICTURE_PADDING;
			picture = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, FD_PICTURE, 0);
			if (picture == MAP_FAILED)
				fail(CLASS_MEMORY, "no memory for a picture of %dx%d pixels", width, height);
		}
		for (uint32_t k = 1; k < order && frame; k++)
			frame = next_frame(d);
		if (!frame)
			break;
		convert_frame(frame, picture, width, height);
		flush_records('P');
		frame = next_frame(d);
	}
	flush_records('F');
}

static void run(const struct config *c) {
	set_limits(c);
	struct isolation isolation = enter_sandbox(c);
	struct clip clip = open_clip(c, open_input(c));
	struct decoder *d = open_decoder(c, &clip);
	AVFrame *frame = next_frame(d);
	struct text t = {0};
	if (!frame) {
		if (input_failed())
			fail(CLASS_READ, "the clip cannot be read");
		fail(CLASS_DECODE, "no frame can be decoded (codec %s)", clip.codec->name);
	}
	text_add(&t, "{\"seccomp\":%d,\"landlock\":%d,", isolation.seccomp, isolation.landlock);
	describe_clip(&t, &clip, decoder_codec(d), frame);
	text_add(&t, "}");
	event_text('I', t.b, t.n);
	serve(d, frame);
	t.n = 0;
	describe_end(d, &t);
	event_text('E', t.b, t.n);
}

// check reports what a decoder on this machine would have.
static void check(const struct config *c) {
	set_limits(c);
	struct isolation isolation = enter_sandbox(c);
	if (*c->hardware)
		check_hardware(c);
	struct text t = {0};
	text_add(&t, "{\"seccomp\":%d,\"landlock\":%d}", isolation.seccomp, isolation.landlock);
	event_text('E', t.b, t.n);
}

// begin runs before main and before Go, while the process has one thread. It turns a process with the name of the child
// into the child.
__attribute__((constructor)) static void begin(int argc, char **argv) {
	if (argc < 1 || strcmp(argv[0], name) != 0)
		return;
	signal(SIGPIPE, SIG_IGN);
	av_log_set_level(AV_LOG_QUIET);
	if (argc < ARGUMENTS)
		fail(CLASS_ISOLATION, "the decoder got %d arguments, want %d", argc, ARGUMENTS);
	struct config c = parse(argv);
	if (argc == ARGUMENTS)
		run(&c);
	else if (!strcmp(argv[ARGUMENTS], "check"))
		check(&c);
	else if (argc == ARGUMENTS + 2) { // a test of the sandbox
		set_limits(&c);
		enter_sandbox(&c);
		try_escapes(argv[ARGUMENTS], argv[ARGUMENTS + 1]);
	}
	_exit(0);
}
