/* Many viewers of one event stream, cheap enough not to be what is measured.
 *
 *   viewers PORT COUNT TARGET [HEADER ...]
 *
 * opens COUNT connections to 127.0.0.1, asks each for TARGET, and says "ready" once every one has the head of its answer.
 * Then it obeys lines on standard input, and leaves when that closes:
 *
 *   count        begin to count anew
 *   report       say what came since: see `report`
 *   await N      say "reached NANOSECONDS" once N events have been counted; the time runs from the first connect
 *   stall N      let N of the viewers stop reading
 *   close        close every connection at once, and say when
 *
 * An event is a line `data: {"n":NUMBER, "t":NANOSECONDS, ...`, with the moment at which it was made by the monotonic clock.
 * Each viewer must see the numbers in order, one by one. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { AT_ONCE = 64, EVENTS = 512, LINE = 2048, ROOM = 1 << 18 };
enum { FINE = 10000, FINE_US = 10, COARSE = 60000, COARSE_US = 1000 };

struct viewer {
	int socket;
	int has_head;
	int64_t last;
	int kept;
	char *rest; /* of a line that has not come whole */
};

static const char start[] = "data: {\"n\":";
static struct viewer *viewers;
static int count, opened, ready, stalled, poll_fd, announced;
static struct sockaddr_in server;
static char request[4096], input[256];
static int request_size, input_size;
static int64_t delivered, disorder, bytes, began, latest, closed_by_server, awaited;
static int64_t latency[FINE + COARSE];

static int64_t now(void)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static void give_up(const char *what)
{
	perror(what);
	exit(1);
}

static void open_one(void)
{
	struct viewer *viewer = &viewers[opened++];
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = viewer};
	int on = 1;

	if ((viewer->socket = socket(AF_INET, SOCK_STREAM, 0)) < 0)
		give_up("socket");
	setsockopt(viewer->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(viewer->socket, (struct sockaddr *)&server, sizeof server) < 0)
		give_up("connect");
	if (send(viewer->socket, request, request_size, 0) != request_size)
		give_up("send");
	viewer->last = -1;
	if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, viewer->socket, &event) < 0)
		give_up("epoll_ctl");
}

static void note_latency(int64_t sent)
{
	int64_t us = (latest - sent) / 1000;
	int64_t place = us < FINE * FINE_US ? us / FINE_US : FINE + us / COARSE_US;

	if (us < 0)
		place = 0;
	if (place >= FINE + COARSE)
		place = FINE + COARSE - 1;
	latency[place]++;
}

static void read_line(struct viewer *viewer, const char *line, const char *end)
{
	const char *sent;
	int64_t n;

	if (end - line < (int)sizeof start || memcmp(line, start, sizeof start - 1))
		return;
	n = strtoll(line + sizeof start - 1, NULL, 10);
	if (viewer->last >= 0 && n != viewer->last + 1)
		disorder++;
	viewer->last = n;
	delivered++;
	if ((sent = memmem(line, end - line, "\"t\":", 4)))
		note_latency(strtoll(sent + 4, NULL, 10));
}

/* Lines may come in pieces; what has no end yet is kept for the next piece. */
static void read_lines(struct viewer *viewer, const char *at, const char *end)
{
	const char *newline;

	if (viewer->kept) {
		int size;
		newline = memchr(at, '\n', end - at);
		size = (newline ? newline : end) - at;
		if (viewer->kept + size > LINE)
			size = LINE - viewer->kept;
		memcpy(viewer->rest + viewer->kept, at, size);
		viewer->kept += size;
		if (!newline)
			return;
		read_line(viewer, viewer->rest, viewer->rest + viewer->kept);
		viewer->kept = 0;
		at = newline + 1;
	}
	while (at < end && (newline = memchr(at, '\n', end - at))) {
		read_line(viewer, at, newline);
		at = newline + 1;
	}
	if (at < end) {
		if (!viewer->rest && !(viewer->rest = malloc(LINE)))
			give_up("malloc");
		viewer->kept = end - at > LINE ? LINE : end - at;
		memcpy(viewer->rest, at, viewer->kept);
	}
}

static void drop(struct viewer *viewer)
{
	epoll_ctl(poll_fd, EPOLL_CTL_DEL, viewer->socket, NULL);
	close(viewer->socket);
	viewer->socket = -1;
	closed_by_server++;
}

static void hear(struct viewer *viewer)
{
	static char room[ROOM + 1];
	ssize_t size = recv(viewer->socket, room, ROOM, MSG_DONTWAIT);

	if (size < 0 && errno == EAGAIN)
		return;
	latest = now();
	if (size <= 0) {
		drop(viewer);
		return;
	}
	if (!viewer->has_head) {
		if (strncmp(room, "HTTP/1.1 200", 12)) {
			fprintf(stderr, "%.*s\n", (int)size, room);
			exit(1);
		}
		viewer->has_head = 1;
		ready++;
	}
	bytes += size;
	room[size] = 0; /* a number ends somewhere */
	read_lines(viewer, room, room + size);
}

static double quantile_ms(double share)
{
	int64_t seen = 0, all = 0;
	int place;

	for (place = 0; place < FINE + COARSE; place++)
		all += latency[place];
	for (place = 0; place < FINE + COARSE - 1; place++)
		if ((seen += latency[place]) >= all * share)
			break;
	return (place < FINE ? (double)place * FINE_US : (double)(place - FINE) * COARSE_US) / 1000;
}

static void report(void)
{
	printf("{\"delivered\": %lld, \"disorder\": %lld, \"bytes\": %lld, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"gone\": %lld}\n",
	       (long long)delivered, (long long)disorder, (long long)bytes, quantile_ms(0.5), quantile_ms(0.99),
	       (long long)closed_by_server);
}

static void stall(int number)
{
	for (; number > 0 && stalled < count; number--, stalled++)
		epoll_ctl(poll_fd, EPOLL_CTL_DEL, viewers[stalled].socket, NULL);
}

static void close_all(void)
{
	int each;

	printf("closed %lld\n", (long long)now());
	for (each = 0; each < count; each++)
		if (viewers[each].socket >= 0)
			close(viewers[each].socket);
}

static void obey(const char *order)
{
	if (!strcmp(order, "count")) {
		delivered = disorder = bytes = 0;
		memset(latency, 0, sizeof latency);
	} else if (!strcmp(order, "report"))
		report();
	else if (!strncmp(order, "await ", 6))
		awaited = strtoll(order + 6, NULL, 10);
	else if (!strncmp(order, "stall ", 6))
		stall(atoi(order + 6));
	else if (!strcmp(order, "close"))
		close_all();
	fflush(stdout);
}

static void hear_orders(void)
{
	ssize_t size = read(0, input + input_size, sizeof input - 1 - input_size);
	char *newline;

	if (size <= 0)
		exit(0);
	input_size += size;
	input[input_size] = 0;
	while ((newline = strchr(input, '\n'))) {
		*newline = 0;
		obey(input);
		input_size -= newline + 1 - input;
		memmove(input, newline + 1, input_size + 1);
	}
}

static void tell(void)
{
	if (!announced && ready == count) {
		announced = 1;
		puts("ready");
		fflush(stdout);
	}
	if (awaited && delivered >= awaited) {
		awaited = 0;
		printf("reached %lld\n", (long long)(latest - began));
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS], orders = {.events = EPOLLIN, .data.ptr = NULL};
	int each, number;

	if (argc < 4) {
		fprintf(stderr, "viewers PORT COUNT TARGET [HEADER ...]\n");
		return 2;
	}
	server.sin_family = AF_INET;
	server.sin_port = htons(atoi(argv[1]));
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	count = atoi(argv[2]);
	request_size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nAccept: text/event-stream\r\n", argv[3], argv[1]);
	for (each = 4; each < argc; each++)
		request_size += snprintf(request + request_size, sizeof request - request_size, "%s\r\n", argv[each]);
	request_size += snprintf(request + request_size, sizeof request - request_size, "\r\n");
	if (!(viewers = calloc(count, sizeof *viewers)) || (poll_fd = epoll_create1(0)) < 0)
		give_up("viewers");
	epoll_ctl(poll_fd, EPOLL_CTL_ADD, 0, &orders);
	began = now();
	for (;;) {
		while (opened < count && opened - ready < AT_ONCE)
			open_one();
		if ((number = epoll_wait(poll_fd, events, EVENTS, -1)) < 0)
			give_up("epoll_wait");
		for (each = 0; each < number; each++)
			if (events[each].data.ptr)
				hear(events[each].data.ptr);
			else
				hear_orders();
		tell();
	}
}
