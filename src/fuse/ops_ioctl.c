/*
 * ioctl: what of it a file system on an image has, which is FITRIM. It comes through any open file or
 * directory of the mount, its argument copied by the kernel (a "restricted" ioctl), and is
 * the same for callers of 32 bits.
 */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <unistd.h>

#include "ops.h"

/* Linux asks for CAP_SYS_ADMIN; here it is also for who mounted the image, whose file it is. */
static bool may_trim(fuse_req_t req)
{
	uid_t uid = fuse_req_ctx(req)->uid;

	return uid == 0 || uid == geteuid();
}

static bool is_interrupted(void *req)
{
	return fuse_req_interrupted(req);
}

static int trim(fuse_req_t req, struct fstrim_range *range)
{
	struct trim_range t = {
		.start_bytes = range->start,
		.len_bytes = range->len,
		.run_bytes_min = range->minlen,
		.is_stopped = is_interrupted,
		.arg = req,
	};
	int err = super_trim(front_of(req)->sb, &t);

	range->len = t.trimmed_bytes;
	return err;
}

void op_ioctl(fuse_req_t req, fuse_ino_t id, unsigned cmd, void *arg, struct fuse_file_info *fi, unsigned flags,
	      const void *in, size_t in_size, size_t out_size)
{
	struct fstrim_range range;
	int err;

	(void)id, (void)arg, (void)fi, (void)flags;
	if (cmd != FITRIM) {
		reply_error(req, -ENOTTY);
		return;
	}
	if (in_size < sizeof(range) || out_size < sizeof(range)) {
		reply_error(req, -EINVAL);
		return;
	}
	memcpy(&range, in, sizeof(range));
	err = may_trim(req) ? trim(req, &range) : -EPERM;
	if (err)
		reply_error(req, err);
	else
		fuse_reply_ioctl(req, 0, &range, sizeof(range));
}
