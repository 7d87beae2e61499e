/*
 * Magic numbers in a table, and the three that need more than a comparison: ext, FAT, MBR.
 *
 * Sources: each format's own document; magic(5) has most of them in one place.
 */
#include "detect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "layout/feature.h"
#include "layout/super.h"

/* All signatures lie before this; btrfs has the farthest, at 64 KiB and a little. */
#define DETECT_BYTES (72u * 1024)

struct signature {
	const char *what;
	uint64_t offset;
	const char *magic;
	unsigned len;
};

#define SIG(what, offset, magic) {what, offset, magic, sizeof(magic) - 1}

static const struct signature signatures[] = {
	SIG("an XFS file system", 0, "XFSB"),
	SIG("a btrfs file system", 0x10040, "_BHRfS_M"),
	SIG("an NTFS file system", 3, "NTFS    "),
	SIG("an exFAT file system", 3, "EXFAT   "),
	SIG("an F2FS file system", 1024, "\x10\x20\xf5\xf2"),
	SIG("a bcachefs file system", 4096 + 24,
	    "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"),
	SIG("an EROFS file system", 1024, "\xe2\xe1\xf5\xe0"),
	SIG("a JFS file system", 0x8000, "JFS1"),
	SIG("a ReiserFS file system", 0x10034, "ReIsEr"),
	SIG("an OCFS2 file system", 0x2000, "OCFSV2"),
	SIG("a GFS2 file system", 0x10000, "\x01\x16\x19\x70\0\0\0\x01"),
	SIG("a squashfs file system", 0, "hsqs"),
	SIG("a squashfs file system", 0, "sqsh"),
	SIG("a cramfs file system", 0, "\x45\x3d\xcd\x28"),
	SIG("an ISO 9660 file system", 0x8001, "CD001"),
	SIG("a UDF file system", 0x8001, "BEA01"),
	SIG("swap space", 4096 - 10, "SWAPSPACE2"),
	SIG("swap space", 4096 - 10, "SWAP-SPACE"),
	SIG("swap space", 8192 - 10, "SWAPSPACE2"),
	SIG("swap space", 65536 - 10, "SWAPSPACE2"),
	SIG("a hibernated system", 4096 - 10, "S1SUSPEND"),
	SIG("a LUKS encrypted volume", 0, "LUKS\xba\xbe"),
	SIG("a LUKS encrypted volume", 0x4000, "SKUL\xba\xbe"),
	SIG("a BitLocker encrypted volume", 3, "-FVE-FS-"),
	SIG("an LVM physical volume", 512, "LABELONE"),
	SIG("an LVM physical volume", 0, "LABELONE"),
	SIG("an LVM physical volume", 1024, "LABELONE"),
	SIG("an LVM physical volume", 1536, "LABELONE"),
	SIG("a RAID member (md)", 0, "\xfc\x4e\x2b\xa9"),
	SIG("a RAID member (md)", 4096, "\xfc\x4e\x2b\xa9"),
	SIG("a bcache device", 4096 + 24,
	    "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x80"),
	SIG("a GPT partition table", 512, "EFI PART"),
	SIG("a GPT partition table", 4096, "EFI PART"),
	SIG("a qcow2 disk image", 0, "QFI\xfb"),
	SIG("a VMDK disk image", 0, "KDMV"),
	SIG("a VHDX disk image", 0, "vhdxfile"),
	SIG("a VDI disk image", 0x40, "\x7f\x10\xda\xbe"),
};

/* The three families that share the magic number, told apart by what only the later ones have. */
static const char *ext_name(const struct ext_super *super)
{
	if (super_has_incompat(super, EXT_INCOMPAT_JOURNAL_DEV))
		return "an external ext journal";
	if (super_has_incompat(super, ~(uint32_t)FEATURE_INCOMPAT_SUPPORTED) ||
	    super_has_ro_compat(super, ~(uint32_t)FEATURE_RO_COMPAT_SUPPORTED))
		return "an ext4 file system";
	return super_has_compat(super, EXT_COMPAT_HAS_JOURNAL) ? "an ext3 file system" :
								"an ext2 file system";
}

/* Copies what can be printed: the text comes from a disk and goes to a terminal. */
static void copy_printable(char *to, size_t size, const char *from, size_t from_len)
{
	size_t n = 0;

	while (n < from_len && n + 1 < size && from[n]) {
		to[n] = from[n] >= ' ' && from[n] <= '~' ? from[n] : '?';
		n++;
	}
	to[n] = 0;
}

static bool detect_ext(const uint8_t *bytes, struct detected *ret)
{
	struct ext_super super;
	char label[20], last[48];

	memcpy(&super, bytes + EXT_SUPER_OFFSET, sizeof(super));
	if (!super_has_magic(&super) || le32_get(super.rev_level) > 1 || le32_get(super.log_block_size) > 6)
		return false;
	ret->what = ext_name(&super);
	ret->offset = EXT_SUPER_OFFSET + offsetof(struct ext_super, magic);
	ret->len = sizeof(super.magic);
	copy_printable(label, sizeof(label), super.volume_name, sizeof(super.volume_name));
	copy_printable(last, sizeof(last), super.last_mounted, sizeof(super.last_mounted));
	snprintf(ret->more, sizeof(ret->more), "%s%s%s%s%s", label[0] ? " labelled '" : "", label,
		 label[0] ? "'" : "", last[0] ? ", last mounted on " : "", last);
	return true;
}

static bool detect_table(const uint8_t *bytes, struct detected *ret)
{
	for (size_t i = 0; i < array_size(signatures); i++) {
		const struct signature *sig = &signatures[i];

		if (memcmp(bytes + sig->offset, sig->magic, sig->len) == 0) {
			ret->what = sig->what;
			ret->offset = sig->offset;
			ret->len = sig->len;
			return true;
		}
	}
	return false;
}

static bool has_boot_mark(const uint8_t *bytes)
{
	return bytes[510] == 0x55 && bytes[511] == 0xaa;
}

static bool detect_fat(const uint8_t *bytes, struct detected *ret)
{
	if (!has_boot_mark(bytes))
		return false;
	if (memcmp(bytes + 0x52, "FAT32   ", 8) == 0)
		ret->offset = 0x52;
	else if (memcmp(bytes + 0x36, "FAT12   ", 8) == 0 || memcmp(bytes + 0x36, "FAT16   ", 8) == 0)
		ret->offset = 0x36;
	else
		return false;
	ret->what = "a FAT file system";
	ret->len = 8;
	return true;
}

/* A boot mark alone is no table: one entry at least must look like a partition, and none odd. */
static bool detect_mbr(const uint8_t *bytes, struct detected *ret)
{
	unsigned nr_used = 0;

	if (!has_boot_mark(bytes))
		return false;
	for (unsigned i = 0; i < 4; i++) {
		const uint8_t *entry = bytes + 446 + 16 * i;
		bool has_size = entry[12] || entry[13] || entry[14] || entry[15];

		if (entry[0] != 0 && entry[0] != 0x80)
			return false;
		if (entry[4] && has_size)
			nr_used++;
	}
	if (nr_used == 0)
		return false;
	ret->what = "an MBR partition table";
	ret->offset = 510;
	ret->len = 0;
	snprintf(ret->more, sizeof(ret->more), " with %u partition%s", nr_used, nr_used == 1 ? "" : "s");
	return true;
}

int detect(struct image *img, struct detected *ret)
{
	uint8_t *bytes;
	int err;

	memset(ret, 0, sizeof(*ret));
	if (img->size_bytes == 0)
		return 0;
	bytes = mem_alloc(DETECT_BYTES);
	if (!bytes) {
		snprintf(img->why, sizeof(img->why), "out of memory");
		return -ENOMEM;
	}
	err = image_read(img, 0, bytes, DETECT_BYTES);
	/* The table first: a GPT disk has an MBR, and a container may hold an ext superblock inside. */
	if (!err && !detect_table(bytes, ret) && !detect_ext(bytes, ret) && !detect_fat(bytes, ret))
		ignore(detect_mbr(bytes, ret), "nothing found is an answer too");
	mem_free(bytes);
	return err;
}

int detect_wipe(struct image *img)
{
	uint8_t zeros[32] = {0};
	struct detected found;
	int err = 0;

	/* Each round takes one away, and there are no more than the table has. */
	for (size_t i = 0; i < 2 * array_size(signatures) && !err && !img->is_zero; i++) {
		err = detect(img, &found);
		if (err || !found.what || found.len == 0)
			break;
		err = image_write(img, found.offset, zeros, found.len);
	}
	return err;
}
