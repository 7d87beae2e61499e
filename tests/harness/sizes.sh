#!/bin/sh
# How long the files and functions are: the longest of each, and the medians.
#
#	sizes.sh FILE.c...
#
# A function is what lies between a "{" and a "}" that stand in the first column, counted with its
# head; the house's layout makes that exact. A mirror: it prints, people judge.
set -eu

functions=$(mktemp)
files=$(mktemp)
trap 'rm -f "$functions" "$files"' EXIT

awk -v files="$files" '
	function name_of(head) {
		sub(/\(.*/, "", head)
		sub(/.*[ *]/, "", head)
		return head
	}
	FNR == 1 { if (file != "") print lines, file > files; file = FILENAME }
	{ lines = FNR }
	/^[a-z].*\(/ && !/;[ \t]*$/ { head = $0; start = FNR }
	/^{/ { open = head != "" }
	/^}/ && open { print FNR - start + 1, name_of(head), FILENAME; open = 0; head = "" }
	/^}/ { head = "" }
	/;[ \t]*$/ && /^[a-z]/ { head = "" }
	END { if (file != "") print lines, file > files }
' "$@" > "$functions"

summary()
{
	sort -n "$2" | awk -v what="$1" '
		{ size[NR] = $1; sum += $1 }
		END {
			if (NR == 0) { print "no " what; exit }
			printf "%d %s, %d lines; median %d, nine tenths within %d, longest %d\n",
				NR, what, sum, size[int((NR + 1) / 2)], size[int((NR * 9 + 9) / 10)], size[NR]
		}'
}

summary files "$files"
sort -rn "$files" | head -15 | awk '{ printf "%8d  %s\n", $1, $2 }'
echo
summary functions "$functions"
sort -rn "$functions" | head -20 | awk '{ printf "%8d  %-40s %s\n", $1, $2, $3 }'
