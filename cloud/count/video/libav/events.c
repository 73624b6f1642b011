#include "child.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// write_all ends the child when the parent has closed the pipe.
static void write_all(const void *b, size_t n) {
	const char *at = b;
	while (n > 0) {
		ssize_t done = write(FD_EVENTS, at, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			_exit(0);
		at += done;
		n -= (size_t)done;
	}
}

// An event is one letter, the length of its content as uint32, and the content.
static void event(char kind, const void *content, size_t n) {
	uint8_t head[5];
	uint32_t length = (uint32_t)n;
	head[0] = (uint8_t)kind;
	memcpy(head + 1, &length, sizeof length);
	write_all(head, sizeof head);
	write_all(content, n);
}

static struct {
	struct record r[64];
	int n;
	time_t since; // of the oldest one, in seconds
} records;

static time_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

// A record waits for at most two seconds: the parent ends a decoder without progress.
void add_record(struct record r) {
	if (records.n == sizeof records.r / sizeof *records.r || (records.n > 0 && now() - records.since > 1))
		flush_records('F');
	if (records.n == 0)
		records.since = now();
	records.r[records.n++] = r;
}

void flush_records(char kind) {
	if (records.n > 0)
		event(kind, records.r, (size_t)records.n * sizeof *records.r);
	records.n = 0;
}

void event_text(char kind, const char *text, size_t length) { event(kind, text, length); }

void fail(const char *class, const char *format, ...) {
	char reason[400];
	va_list args;
	va_start(args, format);
	vsnprintf(reason, sizeof reason, format, args);
	va_end(args);
	struct text t = {0};
	text_add(&t, "{");
	text_string(&t, "class", class);
	text_add(&t, ",");
	text_string(&t, "reason", reason);
	text_add(&t, "}");
	event_text('X', t.b, t.n);
	_exit(0);
}

uint32_t wait_order(void) {
	uint32_t order;
	char *at = (char *)&order;
	size_t left = sizeof order;
	while (left > 0) {
		ssize_t n = read(FD_ORDERS, at, left);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(0);
		at += n;
		left -= (size_t)n;
	}
	return order;
}

void text_add(struct text *t, const char *format, ...) {
	char part[512];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(part, sizeof part, format, args);
	va_end(args);
	if (n < 0)
		return;
	if ((size_t)n >= sizeof part)
		n = sizeof part - 1;
	if (t->n + (size_t)n + 1 > t->cap) {
		t->cap = 2 * (t->n + (size_t)n + 1);
		t->b = realloc(t->b, t->cap);
		if (!t->b)
			_exit(3);
	}
	memcpy(t->b + t->n, part, (size_t)n + 1);
	t->n += (size_t)n;
}

// text_string adds "name":"value". Everything but printable ASCII becomes a question mark: names in a clip can hold
// anything.
void text_string(struct text *t, const char *name, const char *value) {
	char safe[400];
	size_t n = 0;
	for (; value && value[n] && n + 1 < sizeof safe; n++)
		safe[n] = value[n] < ' ' || value[n] > '~' || value[n] == '"' || value[n] == '\\' ? '?' : value[n];
	safe[n] = 0;
	text_add(t, "\"%s\":\"%s\"", name, safe);
}
