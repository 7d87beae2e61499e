/*
 * The log's file. Each event is one system call, so that what a killed process had recorded is there.
 */
#include "recordfile.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zlib.h>

#include "base/mem.h"

#define PAYLOAD_BYTES_MAX (1u << 30)	/* a request is never so large: more is damage */

static_assert(sizeof(struct recordlog_file_header) == 0x18, "recordlog.h");
static_assert(sizeof(struct recordlog_file_event) == 0x30, "recordlog.h");

static uint32_t crc_of(const void *bytes, size_t len)
{
	return (uint32_t)crc32_z(0, bytes, len);
}

/* Writing. */

int recordfile_create(const char *path, int *ret_fd, char *why, size_t why_size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	int err = errno;

	if (fd < 0) {
		snprintf(why, why_size, "cannot create %s: %s", path, strerror(err));
		return -err;
	}
	*ret_fd = fd;
	return 0;
}

/* All of it: the rest after a short write goes in further calls. */
static int put(int fd, struct iovec *iov, int nr)
{
	while (nr) {
		ssize_t did = writev(fd, iov, nr);

		if (did < 0 && errno == EINTR)
			continue;
		if (did < 0)
			return -errno;
		while (nr && (size_t)did >= iov->iov_len) {
			did -= (ssize_t)iov->iov_len;
			iov++;
			nr--;
		}
		if (nr) {
			iov->iov_base = (char *)iov->iov_base + did;
			iov->iov_len -= (size_t)did;
		}
	}
	return 0;
}

int recordfile_put_header(int fd, uint64_t disk_bytes, uint32_t block_bytes)
{
	struct recordlog_file_header header = {
		.disk_bytes = le64_make(disk_bytes),
		.block_bytes = le32_make(block_bytes),
	};

	memcpy(header.magic, RECORDLOG_MAGIC, sizeof(header.magic));
	header.crc = le32_make(crc_of(&header, offsetof(struct recordlog_file_header, crc)));
	return put(fd, &(struct iovec){&header, sizeof(header)}, 1);
}

static int put_event(int fd, struct recordlog_file_event *event, void *payload, uint32_t payload_bytes)
{
	struct iovec iov[2] = {{event, sizeof(*event)}, {payload, payload_bytes}};

	event->payload_bytes = le32_make(payload_bytes);
	event->payload_crc = le32_make(payload_bytes ? crc_of(payload, payload_bytes) : 0);
	event->crc = le32_make(crc_of(event, offsetof(struct recordlog_file_event, crc)));
	return put(fd, iov, payload_bytes ? 2 : 1);
}

int recordfile_put_record(int fd, uint64_t number, const struct record *record, uint32_t payload_bytes)
{
	struct recordlog_file_event event = {
		.kind = le32_make(record->kind),
		.flags = le32_make(record->flags),
		.number = le64_make(number),
		.sector = le64_make(record->sector),
		.size_bytes = le32_make(record->size_bytes),
	};

	return put_event(fd, &event, record->data, payload_bytes);
}

int recordfile_put_complete(int fd, uint64_t number, int status)
{
	struct recordlog_file_event event = {
		.kind = le32_make(RECORDLOG_EVENT_COMPLETE),
		.number = le64_make(number),
		.error = le32_make((uint32_t)-status),
	};

	return put_event(fd, &event, NULL, 0);
}

/* Reading. */

/* 0; -ENODATA when the file ends before. */
static int get(FILE *file, void *to, size_t len)
{
	if (fread(to, 1, len, file) == len)
		return 0;
	return ferror(file) ? -EIO : -ENODATA;
}

static int get_payload(FILE *file, const struct recordlog_file_event *raw, struct record *record)
{
	uint32_t len = le32_get(raw->payload_bytes);
	char *data;
	int err;

	if (len > PAYLOAD_BYTES_MAX || (record->kind == RECORD_WRITE && len != record->size_bytes))
		return -EUCLEAN;
	if (record->kind != RECORD_WRITE && record->kind != RECORD_MARK)
		return len ? -EUCLEAN : 0;
	data = mem_alloc((size_t)len + 1);
	if (!data)
		return -ENOMEM;
	data[len] = '\0';	/* ends a mark */
	err = get(file, data, len);
	if (!err && len && crc_of(data, len) != le32_get(raw->payload_crc))
		err = -EUCLEAN;
	if (err)
		mem_free(data);
	else
		record->data = data;
	return err;
}

static bool is_record_kind(uint32_t kind)
{
	return kind >= RECORD_WRITE && kind <= RECORD_MARK;
}

static int get_event(FILE *file, struct recordfile_event *event)
{
	struct recordlog_file_event raw;
	uint32_t kind;
	int err = get(file, &raw, sizeof(raw));

	if (err)
		return err;
	kind = le32_get(raw.kind);
	if (crc_of(&raw, offsetof(struct recordlog_file_event, crc)) != le32_get(raw.crc))
		return -EUCLEAN;
	*event = (struct recordfile_event){.number = le64_get(raw.number)};
	if (kind == RECORDLOG_EVENT_COMPLETE) {
		event->is_completion = true;
		event->status = -(int)le32_get(raw.error);
		return 0;
	}
	if (!is_record_kind(kind))
		return -EUCLEAN;
	event->record = (struct record){
		.kind = kind,
		.flags = le32_get(raw.flags),
		.sector = le64_get(raw.sector),
		.size_bytes = le32_get(raw.size_bytes),
	};
	return get_payload(file, &raw, &event->record);
}

static int get_header(FILE *file, uint64_t *ret_disk_bytes)
{
	struct recordlog_file_header header;
	int err = get(file, &header, sizeof(header));

	if (err)
		return err == -ENODATA ? -EUCLEAN : err;
	if (memcmp(header.magic, RECORDLOG_MAGIC, sizeof(header.magic)) != 0 ||
	    crc_of(&header, offsetof(struct recordlog_file_header, crc)) != le32_get(header.crc))
		return -EUCLEAN;
	*ret_disk_bytes = le64_get(header.disk_bytes);
	return 0;
}

static bool at_end(FILE *file)
{
	int c = getc(file);

	if (c != EOF)
		ungetc(c, file);
	return c == EOF;
}

static int get_events(FILE *file, int (*take)(void *arg, const struct recordfile_event *event), void *arg,
		      bool *ret_is_cut)
{
	*ret_is_cut = false;
	while (!at_end(file)) {
		struct recordfile_event event;
		int err = get_event(file, &event);

		if (!err) {
			err = take(arg, &event);
			if (err)
				mem_free(event.record.data);
		}
		if (err == -ENODATA || err == -EUCLEAN) {
			*ret_is_cut = true;
			return 0;
		}
		if (err)
			return err;
	}
	return ferror(file) ? -EIO : 0;
}

int recordfile_load(const char *path, uint64_t *ret_disk_bytes,
		    int (*take)(void *arg, const struct recordfile_event *event), void *arg,
		    bool *ret_is_cut, char *why, size_t why_size)
{
	FILE *file = fopen(path, "re");
	int err;

	if (!file) {
		err = -errno;
		snprintf(why, why_size, "cannot open %s: %s", path, strerror(-err));
		return err;
	}
	err = get_header(file, ret_disk_bytes);
	if (err == -EUCLEAN)
		snprintf(why, why_size, "%s is not a record of a disk's writes", path);
	if (!err)
		err = get_events(file, take, arg, ret_is_cut);
	if (err && err != -EUCLEAN)
		snprintf(why, why_size, "cannot read %s: %s", path, strerror(-err));
	fclose(file);
	return err;
}
