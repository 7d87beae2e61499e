/*
 * Reading /proc/self/mountinfo.
 *
 *	36 35 98:0 /root /mnt/a\040b rw,noatime master:1 - fuse.extant /img rw,user_id=0
 *	 id parent dev  root  mountpoint options optional*  - type source super-options
 */
#include "fuse/mountinfo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOUNTINFO_PATH "/proc/self/mountinfo"

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* In place: the kernel writes space, tab, newline and backslash as \ooo. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && is_octal(s[1]) && is_octal(s[2]) && is_octal(s[3])) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

int mountinfo_parse(char *line, struct mountinfo *ret)
{
	char *rest = line, *device = NULL, *mountpoint = NULL, *field;
	struct mountinfo info = {0};

	for (int i = 0; i < 5; i++) {
		field = strsep(&rest, " \n");
		if (!field || !*field)
			return -EINVAL;
		if (i == 2)
			device = field;
		else if (i == 4)
			mountpoint = field;
	}
	if (sscanf(device, "%u:%u", &info.dev_major, &info.dev_minor) != 2)
		return -EINVAL;
	do {
		field = strsep(&rest, " \n");
	} while (field && strcmp(field, "-") != 0);
	info.mountpoint = mountpoint;
	info.type = strsep(&rest, " \n");
	info.source = strsep(&rest, " \n");
	if (!info.type || !info.source)
		return -EINVAL;
	unescape(info.mountpoint);
	unescape(info.source);
	*ret = info;
	return 0;
}

/* Calls fn for each mount until it says true; whether it did. */
static bool any_mount(bool (*fn)(const struct mountinfo *info, void *arg), void *arg)
{
	FILE *f = fopen(MOUNTINFO_PATH, "re");
	struct mountinfo info;
	bool found = false;
	char *line = NULL;
	size_t size = 0;

	if (!f)
		return false;
	while (!found && getline(&line, &size, f) > 0)
		if (mountinfo_parse(line, &info) == 0)
			found = fn(&info, arg);
	free(line);
	fclose(f);
	return found;
}

struct device_search {
	const char *mountpoint;
	unsigned dev_major, dev_minor;
	bool found;
};

/* Later lines lie over earlier ones, so the search goes on to the end. */
static bool note_device(const struct mountinfo *info, void *arg)
{
	struct device_search *search = arg;

	if (strcmp(info->mountpoint, search->mountpoint) == 0) {
		search->dev_major = info->dev_major;
		search->dev_minor = info->dev_minor;
		search->found = true;
	}
	return false;
}

int mountinfo_device(const char *mountpoint, unsigned *ret_major, unsigned *ret_minor)
{
	struct device_search search = {.mountpoint = mountpoint};

	any_mount(note_device, &search);
	if (!search.found)
		return -ENOENT;
	*ret_major = search.dev_major;
	*ret_minor = search.dev_minor;
	return 0;
}

struct source_search {
	const char *type, *source;
};

static bool is_source(const struct mountinfo *info, void *arg)
{
	const struct source_search *search = arg;

	return strcmp(info->type, search->type) == 0 && strcmp(info->source, search->source) == 0;
}

bool mountinfo_has_source(const char *type, const char *source)
{
	struct source_search search = {.type = type, .source = source};

	return any_mount(is_source, &search);
}
