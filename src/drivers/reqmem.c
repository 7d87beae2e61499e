#include "reqmem.h"

#include <string.h>

#define IOV_AT_ONCE 64u

size_t request_fill_iov_part(const struct request *rq, uint64_t skip, uint64_t len, struct iovec *iov,
			     size_t max)
{
	size_t nr = request_fill_iov(rq, skip, iov, max);

	for (size_t i = 0; i < nr; i++) {
		if (len == 0)
			return i;
		iov[i].iov_len = min(iov[i].iov_len, (size_t)len);
		len -= iov[i].iov_len;
	}
	return nr;
}

void request_zero(const struct request *rq, uint64_t skip, uint64_t len)
{
	struct iovec iov[IOV_AT_ONCE];
	uint64_t done = 0;

	while (done < len) {
		size_t nr = request_fill_iov_part(rq, skip + done, len - done, iov, IOV_AT_ONCE);

		for (size_t i = 0; i < nr; i++) {
			memset(iov[i].iov_base, 0, iov[i].iov_len);
			done += iov[i].iov_len;
		}
	}
}

static void copy_all(const struct request *rq, char *flat, bool is_out)
{
	struct iovec iov[IOV_AT_ONCE];
	uint64_t done = 0;

	while (done < rq->size_bytes) {
		size_t nr = request_fill_iov(rq, done, iov, IOV_AT_ONCE);

		for (size_t i = 0; i < nr; i++) {
			if (is_out)
				memcpy(flat + done, iov[i].iov_base, iov[i].iov_len);
			else
				memcpy(iov[i].iov_base, flat + done, iov[i].iov_len);
			done += iov[i].iov_len;
		}
	}
}

void request_copy_from(const struct request *rq, void *to)
{
	copy_all(rq, to, true);
}

void request_copy_to(const struct request *rq, const void *from)
{
	copy_all(rq, (char *)(uintptr_t)from, false);
}
