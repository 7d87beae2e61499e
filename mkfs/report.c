#include "report.h"

#include "layout/super.h"
#include "uuid.h"

#define LINE_WIDTH 76

static const char *kind(const struct plan *plan)
{
	return plan->geo.has_journal ? "ext3" : "ext2";
}

static void report_size(FILE *to, uint64_t bytes)
{
	static const char units[] = "KMGT";
	unsigned unit = 0;

	bytes >>= 10;
	while (unit < 3 && bytes >= 10240) {
		bytes >>= 10;
		unit++;
	}
	fprintf(to, "%llu %ciB", (unsigned long long)bytes, units[unit]);
}

static void report_features(FILE *to, const struct geometry *geo)
{
	char names[3][256];

	feature_describe(FEATURE_COMPAT, geo->feature_compat, names[0], sizeof(names[0]));
	feature_describe(FEATURE_INCOMPAT, geo->feature_incompat, names[1], sizeof(names[1]));
	feature_describe(FEATURE_RO_COMPAT, geo->feature_ro_compat, names[2], sizeof(names[2]));
	fprintf(to, "  features:     ");
	for (int i = 0; i < 3; i++)
		if (names[i][0])
			fprintf(to, " %s", names[i]);
	fputc('\n', to);
}

static void report_details(FILE *to, const struct plan *plan)
{
	const struct geometry *geo = &plan->geo;
	uint32_t reserved = le32_get(plan->super.r_blocks_count);

	fprintf(to, "  label:         %.16s\n", plan->super.volume_name);
	report_features(to, geo);
	fprintf(to, "  groups:        %u of %u blocks and %u inodes\n", geo->groups_count, geo->blocks_per_group,
		geo->inodes_per_group);
	fprintf(to, "  inodes:        %u bytes each, %u blocks of them in a group\n", geo->inode_size,
		geo->inode_table_blocks);
	fprintf(to, "  descriptors:   %u blocks, and %u reserved to grow\n", geo->gdt_blocks,
		geo->reserved_gdt_blocks);
	fprintf(to, "  for root only: %u blocks (%.2f%%)\n", reserved, 100.0 * reserved / (double)geo->blocks_count);
	if (plan->super.raid_stripe_width.raw || plan->stride)
		fprintf(to, "  RAID:          stride %u, stripe width %u blocks\n", plan->stride,
			le32_get(plan->super.raid_stripe_width));
	if (plan->root_uid || plan->root_gid)
		fprintf(to, "  root owner:    %u:%u\n", plan->root_uid, plan->root_gid);
	if (plan->blocks_unused)
		fprintf(to, "  unused:        %llu blocks at the end, too few for a group\n",
			(unsigned long long)plan->blocks_unused);
}

static void report_backups(FILE *to, const struct geometry *geo)
{
	int column = LINE_WIDTH;
	const char *before = "  superblock backups on blocks:";

	for (group_t g = super_next_group(geo, 0); g < geo->groups_count; g = super_next_group(geo, g)) {
		char number[24];
		int len = snprintf(number, sizeof(number), " %llu",
				   (unsigned long long)group_first_block(geo, g));

		fputs(before, to);
		before = ",";
		if (column + len + 1 > LINE_WIDTH) {
			fputs("\n   ", to);
			column = 3;
		}
		fputs(number, to);
		column += len + 1;
	}
	if (before[0] == ',')
		fputc('\n', to);
}

void report_plan(FILE *to, const char *path, const struct plan *plan, bool verbose)
{
	const struct geometry *geo = &plan->geo;
	char uuid[UUID_TEXT];

	uuid_to_text(plan->super.uuid, uuid);
	fprintf(to, "%s: %s, ", path, kind(plan));
	report_size(to, geo->blocks_count << geo->block_bits);
	fprintf(to, ": %llu blocks of %u bytes, %u inodes\n", (unsigned long long)geo->blocks_count,
		geo->block_size, geo->inodes_count);
	fprintf(to, "  UUID:          %s\n", uuid);
	if (verbose)
		report_details(to, plan);
	if (plan->journal_blocks) {
		fprintf(to, "  journal:       %llu blocks, ", (unsigned long long)plan->journal_blocks);
		report_size(to, plan->journal_blocks << geo->block_bits);
		fputc('\n', to);
	}
	report_backups(to, geo);
}
