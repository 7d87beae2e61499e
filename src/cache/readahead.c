/*
 * Which pages will be wanted: from requests to streams, from streams to windows.
 *
 * All of this is pure: a request goes in, perhaps a plan comes out; prefetch.c carries it out. A
 * request is looked at only if a page of it was absent or had the mark; what else hits leaves
 * nothing behind but its end (prev_end), so a hit costs no lock.
 *
 *	            at                      ahead
 *	            v                       v
 *	 ===========|=======================|- - - - - - - - - - - -|
 *	  asked for  read before, perhaps    the next window
 *	             under way: the latest
 *	             window. Its first page
 *	             has the mark.
 *
 * When the reader comes to the mark, it enters the latest window; the next one, twice as large, is
 * started behind it, with a new mark. So there is a whole window between the reader and the end
 * of what was read ahead. A window is at most twice what was read in order before it, so what is
 * read in vain when the reader turns away is of the order of what was of use.
 *
 * Recognising. The latest requests that missed are kept as a list of what was asked, not in which
 * order: several threads may serve one reader, and its requests overtake each other. A request
 * makes a stream
 *	forward    when it and its neighbours in the list are one piece, and it is not the lowest;
 *	           or when it is at the start of a file;
 *	backward   when the two before it (three, if they are large) lie directly above it, in falling
 *	           order;
 *	strided    when it continues an arithmetic progression of equal pieces: of three that came one
 *	           after the other, or of four anywhere in the list (several strided readers at once).
 * Random requests meet none of these but by accident.
 *
 * Awkward meetings:
 *	a request beyond the latest window, by at most four times its length: of the same reader, whose
 *	           requests overtook each other; the window jumps on.
 *	a miss inside the latest window: the pages went before they were used, or there was no memory
 *	           for them. The window is halved.
 *	a mark of somebody else's: two readers of one file. Taken for the start of a stream; what is
 *	           cached already is passed over when the plan is carried out.
 *	a stream that gives way before its reader came to any mark: read in vain. From then on first
 *	           windows of this state are smaller (`caution`), until marks are reached again. With
 *	           much caution a stream is only watched until it has been read in order for long.
 *
 * Not recognised: strides that are no multiple of a page.
 */
#include "cache/readahead.h"

#include "cache_private.h"

#define FIRST_WINDOW_MIN 4u	/* pages */
#define LARGE_REQUEST 16u	/* pages: several threads may be at work for its reader */
#define SLACK_PIECES 4u		/* a request this many times its length too far on may have overtaken */
#define CAUTION_MAX 6u
#define STALE 32u		/* requests of others, and a page of its window each, before a stream is given up */
#define STRIDED_PIECES_FIRST 2u
#define STRIDED_PIECES_MAX 64u

void readahead_init(struct readahead_state *ra)
{
	*ra = (struct readahead_state){.prev_end = RA_NONE};
	mutex_init(&ra->lock, RANK_LEAF, "read-ahead");
}

void readahead_done(struct readahead_state *ra)
{
	mutex_done(&ra->lock);
}

static uint64_t request_end(const struct ra_request *rq)
{
	return rq->first + rq->nr;
}

static uint64_t seen_end(const struct ra_request_seen *seen)
{
	return seen->first + seen->nr;
}

/* The n-th latest, 0 the latest; nr 0 when there were not so many. */
static const struct ra_request_seen *latest(const struct readahead_state *ra, uint32_t n)
{
	return &ra->history[(ra->next_history + 2 * RA_HISTORY - 1 - n) % RA_HISTORY];
}

static void remember(struct readahead_state *ra, const struct ra_request *rq)
{
	ra->history[ra->next_history] = (struct ra_request_seen){.first = rq->first, .nr = rq->nr};
	ra->next_history = (ra->next_history + 1) % RA_HISTORY;
}

/* Streams come and go. */

static void stream_drop(struct readahead_state *ra, struct ra_stream *s)
{
	if (s->kind != RA_UNUSED && s->window > 0 && !s->is_proven)
		ra->caution = min(ra->caution + 1, CAUTION_MAX);
	s->kind = RA_UNUSED;
}

/* Its reader went elsewhere: the next request there is by accident. */
static void drop_stale_streams(struct readahead_state *ra)
{
	for (uint32_t i = 0; i < RA_STREAMS; i++)
		if (ra->streams[i].kind != RA_UNUSED && ra->stamp - ra->streams[i].stamp > STALE + ra->streams[i].window)
			stream_drop(ra, &ra->streams[i]);
}

static struct ra_stream *stream_new(struct readahead_state *ra, enum ra_kind kind)
{
	struct ra_stream *victim = &ra->streams[0];

	for (uint32_t i = 1; i < RA_STREAMS && victim->kind != RA_UNUSED; i++) {
		struct ra_stream *s = &ra->streams[i];

		if (s->kind == RA_UNUSED || (int32_t)(s->stamp - victim->stamp) < 0)
			victim = s;
	}
	stream_drop(ra, victim);
	*victim = (struct ra_stream){.kind = kind, .mark = RA_NONE, .stamp = ra->stamp};
	return victim;
}

/* The first window after `run` pages in order; 0: better watch it for longer. */
static uint32_t first_window(const struct readahead_state *ra, const struct ra_request *rq, uint32_t run)
{
	uint32_t wanted = max(2 * run, FIRST_WINDOW_MIN) >> ra->caution;

	return wanted < max(2u, rq->nr / 2) ? 0 : wanted;
}

static uint32_t grown(const struct ra_stream *s, const struct ra_request *rq)
{
	return min(2 * s->window, rq->pages_max);
}

/* Windows of each kind: from `ahead` on. An empty plan when there is nothing or no room to read. */

static uint32_t window_now(const struct ra_stream *s, const struct ra_request *rq, uint64_t left)
{
	uint64_t wanted = min(s->window, rq->pages_now);

	return (uint32_t)min(wanted, left);
}

static void open_forward(struct ra_stream *s, const struct ra_request *rq, struct ra_plan *plan)
{
	uint64_t start = s->ahead;
	uint32_t nr = start < rq->end ? window_now(s, rq, rq->end - start) : 0;

	*plan = (struct ra_plan){.first = start, .nr = nr, .nr_pieces = 1, .mark = nr ? start : RA_NONE};
	s->ahead = start + nr;
	s->mark = plan->mark;
}

static void open_backward(struct ra_stream *s, const struct ra_request *rq, struct ra_plan *plan)
{
	uint64_t end = s->ahead;
	uint32_t nr = end > rq->begin ? window_now(s, rq, end - rq->begin) : 0;

	*plan = (struct ra_plan){.first = end - nr, .nr = nr, .nr_pieces = 1, .mark = nr ? end - 1 : RA_NONE};
	s->ahead = end - nr;
	s->mark = plan->mark;
}

/* How many pieces behind the one at `from` lie within bounds. */
static uint64_t pieces_left(const struct ra_stream *s, const struct ra_request *rq, uint64_t from)
{
	uint64_t step = (uint64_t)(s->stride < 0 ? -s->stride : s->stride);

	if (s->stride < 0)
		return from > rq->begin ? (from - rq->begin) / step : 0;
	return rq->end > from + s->piece ? (rq->end - from - s->piece) / step : 0;
}

static void open_strided(struct ra_stream *s, const struct ra_request *rq, struct ra_plan *plan)
{
	uint64_t pieces = min(s->window, rq->pages_now) / s->piece;
	uint64_t left = min(pieces_left(s, rq, s->ahead), (uint64_t)STRIDED_PIECES_MAX);
	uint64_t nr = min(pieces, left);
	uint64_t first = s->ahead + (uint64_t)s->stride;

	*plan = (struct ra_plan){
		.first = first,
		.nr = nr ? s->piece : 0,
		.nr_pieces = (uint32_t)nr,
		.stride = s->stride,
		.mark = nr ? first : RA_NONE,
	};
	s->ahead += (uint64_t)s->stride * nr;
	s->mark = plan->mark;
}

static void open_window(struct ra_stream *s, const struct ra_request *rq, struct ra_plan *plan)
{
	if (s->window == 0)
		return;
	if (s->kind == RA_FORWARD)
		open_forward(s, rq, plan);
	else if (s->kind == RA_BACKWARD)
		open_backward(s, rq, plan);
	else
		open_strided(s, rq, plan);
}

/*
 * The reader has come as far as this request. What it asks for itself need not be read ahead, but
 * what it left out before it may be on its way to us.
 */
static void move_on(struct ra_stream *s, const struct ra_request *rq)
{
	uint64_t end = request_end(rq);

	if (s->kind == RA_FORWARD) {
		s->at = max(s->at, end);
		if (rq->first <= s->ahead)
			s->ahead = max(s->ahead, end);
	} else if (s->kind == RA_BACKWARD) {
		s->at = min(s->at, rq->first);
		if (end >= s->ahead)
			s->ahead = min(s->ahead, rq->first);
	} else {
		s->at = rq->first;
	}
}

/* What was read ahead of it is gone, or never came. */
static void shorten(struct ra_stream *s)
{
	s->window = max(s->window / 2, s->kind == RA_STRIDED ? s->piece : FIRST_WINDOW_MIN);
	s->ahead = s->at;
}

/* A request that belongs to a known stream. */

enum follow { FOLLOWS_NOT, FOLLOWS, FOLLOWS_INTO_GAP };

/*
 * Does what begins at `first` go on where something ended? They may share a page, as requests need
 * not begin where a page does.
 */
static bool joins(uint64_t first, uint64_t end)
{
	return first == end || first + 1 == end;
}

static enum follow follows_forward(const struct ra_stream *s, const struct ra_request *rq)
{
	if (request_end(rq) <= s->at)
		return FOLLOWS_NOT;
	if (rq->absent >= s->at && rq->absent < s->ahead)
		return FOLLOWS_INTO_GAP;
	if (joins(rq->first, s->at) || joins(rq->first, s->ahead))
		return FOLLOWS;
	if (s->window > 0 && rq->first > s->ahead && rq->first - s->ahead <= SLACK_PIECES * (uint64_t)rq->nr)
		return FOLLOWS;
	return FOLLOWS_NOT;
}

static enum follow follows_backward(const struct ra_stream *s, const struct ra_request *rq)
{
	uint64_t end = request_end(rq);

	if (rq->first >= s->at)
		return FOLLOWS_NOT;
	if (rq->absent < s->at && rq->absent >= s->ahead)
		return FOLLOWS_INTO_GAP;
	if (joins(s->at, end) || joins(s->ahead, end))
		return FOLLOWS;
	if (s->window > 0 && end < s->ahead && s->ahead - end <= SLACK_PIECES * (uint64_t)rq->nr)
		return FOLLOWS;
	return FOLLOWS_NOT;
}

static enum follow follows_strided(const struct ra_stream *s, const struct ra_request *rq)
{
	int64_t way = (int64_t)(rq->first - s->at), read = (int64_t)(s->ahead - s->at);

	if (rq->nr > s->piece || way % s->stride != 0 || way / s->stride < 1)
		return FOLLOWS_NOT;
	if (way / s->stride <= read / s->stride)
		return FOLLOWS_INTO_GAP;
	return way / s->stride <= read / s->stride + (int64_t)SLACK_PIECES ? FOLLOWS : FOLLOWS_NOT;
}

static enum follow follows(const struct ra_stream *s, const struct ra_request *rq)
{
	switch (s->kind) {
	case RA_FORWARD:
		return follows_forward(s, rq);
	case RA_BACKWARD:
		return follows_backward(s, rq);
	case RA_STRIDED:
		return follows_strided(s, rq);
	case RA_UNUSED:
		break;
	}
	return FOLLOWS_NOT;
}

/* An absent page, nothing marked. */
static void follow(struct readahead_state *ra, struct ra_stream *s, enum follow how,
		   const struct ra_request *rq, struct ra_plan *plan)
{
	move_on(s, rq);
	if (s->window == 0) {
		s->run += rq->nr;
		s->window = min(first_window(ra, rq, s->run), rq->pages_max);
	} else if (how == FOLLOWS_INTO_GAP) {
		shorten(s);
	} else {
		/* It came to the end: no room for a window when it passed the mark, or it overtook. */
		s->window = grown(s, rq);
		if (s->kind == RA_STRIDED)
			s->ahead = s->at;
	}
	open_window(s, rq, plan);
}

static struct ra_stream *find_following(struct readahead_state *ra, const struct ra_request *rq,
					enum follow *ret_how)
{
	for (uint32_t i = 0; i < RA_STREAMS; i++) {
		*ret_how = follows(&ra->streams[i], rq);
		if (*ret_how != FOLLOWS_NOT)
			return &ra->streams[i];
	}
	return NULL;
}

/* The mark. */

static struct ra_stream *find_marked(struct readahead_state *ra, const struct ra_request *rq)
{
	for (uint32_t i = 0; i < RA_STREAMS; i++) {
		struct ra_stream *s = &ra->streams[i];

		if (s->kind != RA_UNUSED && s->mark >= rq->first && s->mark < request_end(rq))
			return s;
	}
	return NULL;
}

static struct ra_stream *adopt(struct readahead_state *ra, const struct ra_request *rq)
{
	struct ra_stream *s = stream_new(ra, RA_FORWARD);

	s->at = s->ahead = request_end(rq);
	s->window = min(max(rq->nr, FIRST_WINDOW_MIN), rq->pages_max);
	return s;
}

static struct ra_stream *reach_mark(struct readahead_state *ra, const struct ra_request *rq, struct ra_plan *plan)
{
	struct ra_stream *s = find_marked(ra, rq);

	if (s) {
		s->is_proven = true;
		ra->caution -= ra->caution > 0;
	} else {
		s = adopt(ra, rq);
	}
	move_on(s, rq);
	s->window = grown(s, rq);
	open_window(s, rq, plan);
	return s;
}

/* New streams. */

struct interval {
	uint64_t first, end;
};

/* The request with all that lies next to it in the history, and next to that. */
static struct interval neighbourhood(const struct readahead_state *ra, const struct ra_request *rq)
{
	struct interval i = {rq->first, request_end(rq)}, before;

	do {
		before = i;
		for (uint32_t n = 0; n < RA_HISTORY; n++) {
			const struct ra_request_seen *seen = &ra->history[n];

			if (seen->nr == 0 || seen->first > i.end || seen_end(seen) < i.first)
				continue;
			i.first = min(i.first, seen->first);
			i.end = max(i.end, seen_end(seen));
		}
	} while (i.first != before.first || i.end != before.end);
	return i;
}

/* Large requests overtake each other, so falling order means less there. */
static bool is_descent(const struct readahead_state *ra, const struct ra_request *rq)
{
	uint32_t nr_needed = rq->nr < LARGE_REQUEST ? 2 : 3;
	uint64_t first = rq->first, end = request_end(rq);

	for (uint32_t n = 0; n < nr_needed; n++) {
		const struct ra_request_seen *above = latest(ra, n);

		if (above->nr == 0 || above->first <= first || !joins(above->first, end))
			return false;
		first = above->first;
		end = seen_end(above);
	}
	return true;
}

static bool was_asked(const struct readahead_state *ra, uint64_t first, uint32_t nr)
{
	for (uint32_t n = 0; n < RA_HISTORY; n++)
		if (ra->history[n].first == first && ra->history[n].nr == nr)
			return true;
	return false;
}

/* The stride that leads to this request, or 0. */
static int64_t find_stride(const struct readahead_state *ra, const struct ra_request *rq)
{
	for (uint32_t n = 0; n < RA_HISTORY; n++) {
		const struct ra_request_seen *seen = latest(ra, n);
		uint64_t step = rq->first - seen->first;	/* all of this modulo 2^64 */

		if (seen->nr != rq->nr || step == 0 || step == -(uint64_t)rq->nr)	/* that one descends */
			continue;
		if (n == 0 && latest(ra, 1)->nr == rq->nr && latest(ra, 1)->first == rq->first - 2 * step)
			return (int64_t)step;
		if (was_asked(ra, rq->first - 2 * step, rq->nr) && was_asked(ra, rq->first - 3 * step, rq->nr))
			return (int64_t)step;
	}
	return 0;
}

static void start_run(struct readahead_state *ra, enum ra_kind kind, const struct ra_request *rq,
		      struct interval i, struct ra_plan *plan)
{
	struct ra_stream *s = stream_new(ra, kind);

	s->at = s->ahead = kind == RA_FORWARD ? i.end : i.first;
	s->run = (uint32_t)min(i.end - i.first, (uint64_t)rq->pages_max);
	s->window = min(first_window(ra, rq, s->run), rq->pages_max);
	open_window(s, rq, plan);
}

static void start_strided(struct readahead_state *ra, const struct ra_request *rq, int64_t stride,
			  struct ra_plan *plan)
{
	struct ra_stream *s = stream_new(ra, RA_STRIDED);

	s->at = s->ahead = rq->first;
	s->piece = rq->nr;
	s->stride = stride;
	s->window = max(STRIDED_PIECES_FIRST >> ra->caution, 1u) * s->piece;
	open_window(s, rq, plan);
}

static void recognise(struct readahead_state *ra, const struct ra_request *rq, struct ra_plan *plan)
{
	struct interval i = neighbourhood(ra, rq);
	int64_t stride;

	if (i.first == rq->first && joins(rq->first, rq->prev_end))
		i.first -= min((uint64_t)rq->nr, rq->first);	/* behind one that hit */
	if (i.first < rq->first || (rq->first == 0 && rq->begin == 0 && rq->starts_file)) {
		start_run(ra, RA_FORWARD, rq, i, plan);
		return;
	}
	if (is_descent(ra, rq)) {
		start_run(ra, RA_BACKWARD, rq, i, plan);
		return;
	}
	stride = find_stride(ra, rq);
	if (stride != 0)
		start_strided(ra, rq, stride, plan);
}

void readahead_plan(struct readahead_state *ra, const struct ra_request *rq, struct ra_plan *plan)
{
	struct ra_stream *s = NULL;
	enum follow how;

	*plan = (struct ra_plan){.mark = RA_NONE};
	mutex_lock(&ra->lock);
	ra->stamp++;
	drop_stale_streams(ra);
	if (rq->has_mark) {
		s = reach_mark(ra, rq, plan);
	} else if (rq->absent != RA_NONE) {
		s = find_following(ra, rq, &how);
		if (s)
			follow(ra, s, how, rq, plan);
		else
			recognise(ra, rq, plan);
	}
	if (s)
		s->stamp = ra->stamp;
	if (rq->absent != RA_NONE)
		remember(ra, rq);
	mutex_unlock(&ra->lock);
}
