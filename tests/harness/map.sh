#!/usr/bin/env bash
# Includes and direct calls held against the floors (src/DESIGN.md, "The floors").
#
#	map.sh BUILD	where BUILD/obj holds the objects of a complete build
#
# Three questions, each answered with the offending lines:
#  - does an include or a call go up, or across to another room of the same floor?
#  - does one go down, but to a room that the table does not give (a shortcut)?
#  - do the files of a room go round: a ring of includes, or of calls between source files?
# An include is read from the sources, a call from the symbols that an object leaves undefined.
# Ends with 1 when something goes up.
set -eu

build=${1:?usage: map.sh BUILD}
cd "$(dirname "$0")/../.."

sources()
{
	find src include mkfs fsck -name '*.[ch]' | sort
}

includes()
{
	sources | xargs grep -Hn '^#include "' |
		sed -E 's/^([^:]+):([0-9]+):#include "([^"]+)".*/include \1 \3 \2/'
}

# "def FILE SYMBOL" and "use FILE SYMBOL" for every object of the house itself.
symbols()
{
	find "$build"/obj/src "$build"/obj/mkfs "$build"/obj/fsck -name '*.o' 2>/dev/null | sort |
		while read -r object; do
			source=${object#"$build"/obj/}
			source=${source%.o}.c
			[ -f "$source" ] || continue
			nm -P "$object" | awk -v file="$source" '
				$2 ~ /^[TDRBVWC]$/ { print "def", file, $1 }
				$2 == "U" { print "use", file, $1 }'
		done
}

{ sources | sed 's/^/file /'; includes; symbols; } | awk '
	function table(room, its_floor, may) { floor_of[room] = its_floor; allowed[room] = " " may " " }
	BEGIN {
		table("base", 1, "")
		table("layout", 2, "base")
		table("block", 2, "base")
		table("sched", 3, "block base")
		table("drivers", 3, "block base")
		table("cache", 3, "block base")
		table("lab", 4, "cache sched drivers block base")
		table("journal", 4, "cache block base")
		table("lab", 4, "cache sched drivers block base")
		table("vfs", 4, "cache base")
		table("ext", 5, "vfs journal cache layout base")
		table("fuse", 5, "vfs base")
		table("fsck", 5, "journal cache layout base")
		table("mkfs", 5, "layout base")
		table("daemon", 6, "fuse ext vfs journal cache layout block base")
		table("ctl", 7, "daemon lab fuse ext vfs journal cache layout block base")
		# What the table allows to one file only.
		also["fsck/main.c", "drivers"] = also["fsck/main.c", "sched"] = also["fsck/main.c", "block"] = 1
		also["mkfs/populate.c", "vfs"] = also["mkfs/populate.c", "ext"] = 1
		also["src/daemon/disks.c", "drivers"] = also["src/daemon/disks.c", "sched"] = 1
	}

	function room(path) { sub(/^(src|include)\//, "", path); sub(/\/.*/, "", path); return path }
	function folder(path) { sub(/[^\/]*$/, "", path); return path }
	# The file that an include line of `from` means.
	function target(from, name) {
		if (("include/" name) in is_file)
			return "include/" name
		if (("src/" name) in is_file)
			return "src/" name
		return (name in is_file) ? name : folder(from) name
	}

	function judge(how, from, to, text, where,	a, b) {
		a = room(from); b = room(to)
		if (from == to || !(a in floor_of) || !(b in floor_of))
			return
		edges++
		if (a == b) {
			edge[how, from, to] = 1
			member[from] = member[to] = 1
			return
		}
		if (index(allowed[a], " " b " ") || ((from, b) in also))
			return
		if (a == "mkfs" && to == "include/journal/format.h")
			return
		if (floor_of[b] >= floor_of[a])
			up[++nr_up] = where ": " text " (floor " floor_of[a] " to " floor_of[b] ")"
		else
			aside[++nr_aside] = where ": " text
	}

	$1 == "file" { is_file[$2] = 1 }
	$1 == "include" { judge("includes", $2, target($2, $3), "includes " $3, $2 ":" $4) }
	# The two programs may use one name for two things; nobody else can mean theirs.
	$1 == "def" && room($2) ~ /^(mkfs|fsck)$/ { own[room($2), $3] = $2; next }
	$1 == "def" { owner[$3] = $2 }
	$1 == "use" { used[$2, $3] = 1 }

	# Who reaches whom by edges of one kind, then every set of files that reach each other.
	function circles(how,	key, n, i, j, k, name, part, reach, nr, line, seen) {
		for (key in edge) {
			split(key, part, SUBSEP)
			if (part[1] == how)
				reach[part[2], part[3]] = 1
		}
		for (key in member)
			name[++n] = key
		for (k = 1; k <= n; k++)
			for (i = 1; i <= n; i++) {
				if (!((name[i], name[k]) in reach))
					continue
				for (j = 1; j <= n; j++)
					if ((name[k], name[j]) in reach)
						reach[name[i], name[j]] = 1
			}
		for (i = 1; i <= n; i++) {
			if (!((name[i], name[i]) in reach) || (name[i] in seen))
				continue
			nr++
			print "  " name[i] " reaches itself:"
			for (j = 1; j <= n; j++)
				if (((name[i], name[j]) in reach) && ((name[j], name[i]) in reach))
					seen[name[j]] = nr
			for (key in edge) {
				split(key, part, SUBSEP)
				if (part[1] == how && seen[part[2]] == nr && seen[part[3]] == nr)
					print "    " part[2] " " how " " part[3] symbols[part[2], part[3]]
			}
		}
		return nr + 0
	}

	END {
		for (key in used) {
			split(key, part, SUBSEP)
			to = owner[part[2]]
			if ((room(part[1]), part[2]) in own)
				to = own[room(part[1]), part[2]]
			if (to == "")
				continue
			judge("calls", part[1], to, "calls " part[2] " of " to, part[1])
			if (length(symbols[part[1], to]) < 60)
				symbols[part[1], to] = symbols[part[1], to] " " part[2]
		}
		print edges " includes and calls between files"
		print nr_up + 0 " go up or across" (nr_up ? ":" : "")
		for (i = 1; i <= nr_up; i++)
			print "  " up[i]
		print nr_aside + 0 " go down past the table" (nr_aside ? ":" : "")
		for (i = 1; i <= nr_aside; i++)
			print "  " aside[i]
		print "rings of includes:"
		nr = circles("includes")
		print "rings of calls between files of a room:"
		nr_calls = circles("calls")
		print nr " rings of includes, " nr_calls " of calls"
		exit nr_up > 0
	}'
