/*
 * SEEK_DATA and SEEK_HOLE.
 *
 * The kernel asks without having written back what its cache holds of the file, so data that a
 * program has just written would look like a hole. Only a file that is open for writing can have
 * such pages; for those the kernel is first told to drop what it caches, which makes it write.
 *
 * That takes requests of its own. Were it done on serving threads, all of them might come to wait
 * for WRITEs that nobody is left to read; so one thread beside them does it, and answers.
 */
#include <errno.h>
#include <fcntl.h>

#include "base/mem.h"
#include "ops.h"

struct seek {
	struct list link;	/* [front->seek_lock] */
	fuse_req_t req;
	fuse_ino_t id;
	struct file *file;	/* the kernel does not release it before the answer */
	uint64_t pos;
	int whence;
};

static void seek_and_reply(fuse_req_t req, struct file *file, uint64_t pos, int whence)
{
	uint64_t found;
	int err = file_seek(file, pos, whence, &found);

	if (err)
		reply_error(req, err);
	else
		fuse_reply_lseek(req, (off_t)found);
}

static struct seek *take_seek(struct front *f)
{
	struct seek *seek = NULL;

	mutex_lock(&f->seek_lock);
	if (!list_empty(&f->seeks)) {
		seek = list_first(&f->seeks, struct seek, link);
		list_del(&seek->link);
	}
	mutex_unlock(&f->seek_lock);
	return seek;
}

/* work_fn */
void seek_work_run(struct work *w)
{
	struct front *f = container_of(w, struct front, seek_work);
	struct seek *seek;

	while ((seek = take_seek(f))) {
		ignore(fuse_lowlevel_notify_inval_inode(f->se, seek->id, 0, 0),
		       "a page that cannot be written is the writer's to hear of");
		seek_and_reply(seek->req, seek->file, seek->pos, seek->whence);
		mem_free(seek);
	}
}

/* False when the session is ending: nobody may be left who serves what the kernel would write. */
static bool put_off(struct front *f, struct seek *seek)
{
	bool is_taken;

	mutex_lock(&f->seek_lock);
	is_taken = !f->is_quiet;
	if (is_taken) {
		list_add_tail(&f->seeks, &seek->link);
		work_queue(f->later, &f->seek_work);
	}
	mutex_unlock(&f->seek_lock);
	return is_taken;
}

static bool has_writer(struct front *f, const struct inode *inode)
{
	struct open_file *of;
	bool found = false;

	mutex_lock(&f->open_lock);
	list_for_each(of, &f->open_files, link) {
		found = of->file->inode == inode && (of->file->flags & O_ACCMODE) != O_RDONLY;
		if (found)
			break;
	}
	mutex_unlock(&f->open_lock);
	return found;
}

void op_lseek(fuse_req_t req, fuse_ino_t id, off_t pos, int whence, struct fuse_file_info *fi)
{
	struct front *f = front_of(req);
	struct file *file = file_of(fi);
	struct seek *seek;

	if (!has_writer(f, file->inode)) {
		seek_and_reply(req, file, (uint64_t)pos, whence);
		return;
	}
	seek = mem_alloc(sizeof(*seek));
	if (!seek) {
		reply_error(req, -ENOMEM);
		return;
	}
	*seek = (struct seek){.req = req, .id = id, .file = file, .pos = (uint64_t)pos, .whence = whence};
	if (!put_off(f, seek)) {
		mem_free(seek);
		seek_and_reply(req, file, (uint64_t)pos, whence);
	}
}
