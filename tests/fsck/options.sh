#!/usr/bin/env bash
# Options and exit statuses are those of e2fsck; a check that is interrupted, undone or refused leaves what it should.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
BUILD=$(cd "${BUILD:-build}" && pwd) || exit 1
FSCK=${FSCK:-$BUILD/bin/fsck.extant}
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C
WORK=$(mktemp -d "${TMPDIR:-/tmp}/extant-fsck.XXXXXX") || exit 1
trap 'rm -rf "$WORK"' EXIT
command -v mke2fs >/dev/null || { echo "no mke2fs here"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
img=$WORK/img
passed=0 failed=0

# try WHAT FUNCTION
try()
{
	if (set -e; "$2") >"$WORK/log" 2>&1 </dev/null; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED $1"
		sed 's/^/    /' "$WORK/log" | tail -5
	fi
}

fresh() { rm -f "$img"; mke2fs -q -F -t ext3 -b 1024 -g 2048 "$img" 12M; }
edit() { "$BUILD/tools/imgedit" "$img"; }
# status N OPTIONS...: fsck.extant leaves N.
status()
{
	local want=$1 got=0
	shift
	"$FSCK" "$@" >"$WORK/out" 2>"$WORK/err" || got=$?
	[ "$got" -eq "$want" ] || { echo "status $got, not $want: $*"; cat "$WORK/err"; return 1; }
}

clean_is_one_line()
{
	fresh
	status 0 -p "$img"
	grep -Eq '^[^ ]+: clean, [0-9]+/[0-9]+ files, [0-9]+/[0-9]+ blocks$' "$WORK/out"
	[ "$(wc -l <"$WORK/out")" -eq 1 ]
}
version() { status 0 -V; }
nothing_given() { status 16; }
unknown_option() { fresh; status 16 -Q "$img"; }
unknown_extended() { fresh; status 1 -n -E nonsense "$img"; }
two_modes() { fresh; status 8 -p -n "$img"; status 8 -y -n "$img"; }
no_such_file() { status 8 -n "$WORK/none"; }
no_file_system() { truncate -s 1M "$WORK/empty"; status 8 -y "$WORK/empty"; }
no_terminal() { fresh; status 8 "$img"; grep -q terminal "$WORK/err"; }
bad_number()
{
	fresh
	status 1 -n -b x "$img"
	status 1 -n -C x "$img"
	status 1 -n -I x "$img"
	status 1 -n -E ea_ver=9 "$img"
	status 8 -n -C 77 "$img"	# no such descriptor
}
refused_with_n()
{
	local o
	fresh
	for o in -c -cc -D "-l $WORK/list" "-L $WORK/list"; do
		status 8 -n $o "$img"
	done
}
without_effect()
{
	fresh
	status 0 -n -r -I 4 -P 128 -j none -k "$img"
	status 0 -n -E bmap2extent,fixes_only,check_encoding,readahead_kb=12,ea_ver=2 "$img"
	status 16 -n -s "$img"
	status 16 -n -S "$img"
	status 0 -F -n "$img"
}
help_is_shown() { status 0 --help; grep -q -- '--undo-apply' "$WORK/out"; }

errors_left()
{
	fresh
	echo 'super free_blocks_count 1
group 0 free_blocks_count 1' | edit
	status 4 -fn "$img"
	cp "$img" "$WORK/before"
	status 4 -fn "$img"
	cmp "$img" "$WORK/before"	# -n changes no byte
	status 1 -fy "$img"
	status 0 -fn "$img"
}
preen_repairs_what_is_safe()
{
	fresh
	echo 'group 1 free_blocks_count 1' | edit
	status 1 -fp "$img"
	status 0 -fn "$img"
}
preen_stops_at_what_is_not()
{
	fresh
	echo 'entry / lost+found inode 7' | edit
	status 4 -fp "$img"
	grep -q 'UNEXPECTED INCONSISTENCY' "$WORK/err"
	# Interrupted there, the file system says of itself that it is to be checked.
	status 4 -p "$img"
}
forced_by_state()
{
	fresh
	echo 'super state 2' | edit
	status 0 -y "$img"
	grep -q 'with errors, check forced' "$WORK/out"
	status 0 -p "$img"
	grep -q clean "$WORK/out"
}
forced_by_mounts()
{
	fresh
	printf 'super max_mnt_count 3\nsuper mnt_count 4\n' | edit
	status 0 -y "$img"
	grep -q 'mounted 4 times' "$WORK/out"
}
by_copy()
{
	fresh
	status 1 -y -b 2049 "$img"
	status 1 -y -b 2049 -B 1024 "$img"
	status 0 -fn "$img"
	status 8 -n -b 77 "$img"
}
in_use_is_refused()
{
	fresh
	exec 9<"$img"
	flock 9
	status 8 -y "$img" 9<&-
	grep -q "^fsck.extant: $img is in use by process" "$WORK/err"
	status 0 -fn "$img" 9<&-
	grep -q warning "$WORK/err"
	exec 9<&-
}
undone()
{
	fresh
	echo 'zero table(0)+1
fill block(2,0) 0x33' | edit
	cp "$img" "$WORK/before"
	status 1 -fy --undo "$WORK/undo" "$img"
	! cmp -s "$img" "$WORK/before"
	status 8 -fy --undo "$WORK/undo" "$img"		# an old record is never overwritten
	status 0 --undo-apply "$WORK/undo" "$img"
	cmp "$img" "$WORK/before"
	status 8 --undo-apply "$WORK/before" "$img"
}
# A block of the inode table that only the journal holds.
journal_holds_table()
{
	fresh
	local table
	table=$(dumpe2fs "$img" 2>/dev/null | grep -o 'Inode table at [0-9]*' | head -1 | grep -o '[0-9]*$')
	dd if="$img" of="$WORK/block" bs=1024 skip="$table" count=1 status=none
	printf 'jo\njw -b %s %s\njc\n' "$table" "$WORK/block" | debugfs -w "$img" >/dev/null 2>&1
	dd if=/dev/zero of="$img" bs=1024 seek="$table" count=1 conv=notrunc status=none
	cp "$img" "$WORK/before"
}
replayed_in_memory()
{
	journal_holds_table
	status 0 -fn "$img"
	grep -q 'recovering journal (in memory)' "$WORK/out"
	cmp "$img" "$WORK/before"
}
replay_is_undone()
{
	journal_holds_table
	"$FSCK" -fy --undo "$WORK/undo2" "$img"
	status 0 -fn "$img"
	status 0 --undo-apply "$WORK/undo2" "$img"
	cmp "$img" "$WORK/before"
}
# Each line of options leaves the same with both programs, on a whole image and on a damaged one.
statuses_are_theirs()
{
	local options theirs ours wrong=0 base
	two_names_of_nothing
	cp "$img" "$WORK/damaged"
	fresh
	cp "$img" "$WORK/whole"
	echo 9000 >"$WORK/list"
	for base in whole damaged; do
		while read -r options; do
			rm -f "$WORK/their_undo" "$WORK/our_undo"
			cp "$WORK/$base" "$img"
			theirs=0 ours=0
			e2fsck ${options//UNDO/$WORK/their_undo} </dev/null >/dev/null 2>&1 || theirs=$?
			cp "$WORK/$base" "$img"
			"$FSCK" ${options//UNDO/$WORK/our_undo} </dev/null >/dev/null 2>&1 || ours=$?
			[ $theirs -eq $ours ] && continue
			echo "$base: $options: e2fsck left $theirs, fsck.extant $ours"
			wrong=1
		done <<-END
			-n $img
			-fn $img
			-p $img
			-fp $img
			-a $img
			-y $img
			-fy $img
			-fyvttdkr $img
			$img
			-r $img
			-V $img
			-pf -b 2049 $img
			-y -b 2049 $img
			-y -b 2049 -B 1024 $img
			-y -b 2049 -B 4096 $img
			-n -b 77 $img
			-n -B 1024 $img
			-p -n $img
			-p -a $img
			-y -n $img
			-fy -E discard $img
			-fn -E discard $img
			-y -E journal_only $img
			-n -E journal_only $img
			-p -E journal_only $img
			-fn -E fragcheck $img
			-fy -E nodiscard,fixes_only $img
			-n -E nonsense $img
			-n -E ea_ver=3 $img
			-y -l $WORK/list $img
			-p -l $WORK/list $img
			-y -L $WORK/list $img
			-y -l $WORK/none $img
			-n -l $WORK/list $img
			-y -c $img
			-p -c $img
			-p -cck $img
			-n -c $img
			-n -D $img
			-fyD $img
			-fpD $img
			-yD $img
			-fn -C 1 $img
			-fn -C 0 $img
			-fn -C x $img
			-fn -C 55 $img
			-fn -I 3 -P 100 $img
			-fn -I x $img
			-fn -P x $img
			-n -b x $img
			-s $img
			-S $img
			-Q $img
			-n $WORK/none
			-n $WORK
			-n /dev/null
			-n $img $img
			-n
			-fy -z UNDO $img
		END
	done
	return $wrong
}

# ---- bad blocks ----

# With a file of known blocks, whole.
with_file()
{
	rm -f "$img"
	mkdir -p "$WORK/tree/dir"
	seq 1 60000 | head -c 300000 >"$WORK/tree/file"
	echo small >"$WORK/tree/dir/small"
	mke2fs -q -F -t ext3 -b 1024 -g 2048 -d "$WORK/tree" "$img" 12M 2>/dev/null
	cp "$img" "$WORK/before"
	mapfile -t blocks < <(debugfs -R 'blocks file' "$img" 2>/dev/null | tr -s ' ' '\n' | grep .)
	indirect=$(debugfs -R 'stat file' "$img" 2>/dev/null | grep -o '(IND):[0-9]*' | grep -om1 '[0-9]*$')
}
listed() { dumpe2fs -b "$1" 2>/dev/null | tr '\n' ' '; }
whole()
{
	status 0 -fn "$1"
	e2fsck -fn "$1"
	"$BUILD/tools/keptfiles" "$WORK/before" "$WORK/before" "$1"
}
# -l and -L do to the list what they do with e2fsck, and a file that uses a bad block moves.
bad_list_is_set()
{
	with_file
	printf '%s\n' 9000 9001 "# a word" 99999999 1 "${blocks[3]}" "$indirect" >"$WORK/list"
	cp "$img" "$WORK/theirs"
	status 1 -y -l "$WORK/list" "$img"
	grep -q 'block 99999999' "$WORK/err"
	e2fsck -y -l "$WORK/list" "$WORK/theirs" || [ $? -eq 1 ]
	[ "$(listed "$img")" = "$(listed "$WORK/theirs")" ]
	[ "$(listed "$img" | wc -w)" -eq 4 ]
	whole "$img"
	! debugfs -R 'blocks file' "$img" 2>/dev/null | grep -qwE "${blocks[3]}|$indirect"
	echo 9002 >"$WORK/list"
	status 0 -y -l "$WORK/list" "$img"		# no damage: 0, as with e2fsck
	[ "$(listed "$img" | wc -w)" -eq 5 ]
	status 0 -p -L "$WORK/list" "$img"
	[ "$(listed "$img")" = "9002 " ]
	whole "$img"
	status 8 -y -l "$WORK/none" "$img"
	seq 9000 9900 >"$WORK/list"			# a list with indirect blocks of its own
	status 0 -y -L "$WORK/list" "$img"
	[ "$(listed "$img" | wc -w)" -eq 901 ]
	whole "$img"
	: >"$WORK/list"
	status 0 -y -L "$WORK/list" "$img"
	[ -z "$(listed "$img")" ]
	whole "$img"
}
# fsck.extant on a disk that cannot read or write bytes $1 to $2 of the image.
on_bad_disk()
{
	local bad=$1 want=$2
	shift 2
	ASAN_OPTIONS=verify_asan_link_order=0:${ASAN_OPTIONS:-} LD_PRELOAD=$BUILD/tools/iowatch.so IOWATCH_FILE=$img IOWATCH_BAD=$bad status "$want" "$@"
}
bad_blocks_are_found()
{
	local from
	with_file
	from=$((blocks[5] * 1024))
	on_bad_disk $((from + 100))-$((from + 3000)) 1 -y -c "$img"
	[ "$(listed "$img")" = "${blocks[5]} ${blocks[6]} ${blocks[7]} " ]
	status 0 -fn "$img"
	e2fsck -fn "$img"
	# Only these three are lost, as zeros; all else of the file is there.
	debugfs -R "dump file $WORK/file" "$img" 2>/dev/null
	cmp -n $((5 * 1024)) "$WORK/file" "$WORK/tree/file"
	cmp -i $((8 * 1024)) "$WORK/file" "$WORK/tree/file"
	status 0 -y -kc "$img"				# -k: they stay
	[ "$(listed "$img" | wc -w)" -eq 3 ]
	on_bad_disk 9000000-9000001 0 -y -cc "$img"	# without it the list is what was found
	[ "$(listed "$img")" = "$((9000000 / 1024)) " ]
	status 0 -y -cc "$img"
	[ -z "$(listed "$img")" ]
	e2fsck -fn "$img"
	cp "$img" "$WORK/before"
	status 0 -y -cc "$img"
	debugfs -R "dump file $WORK/file2" "$img" 2>/dev/null
	cmp "$WORK/file" "$WORK/file2"			# the test itself changes nothing
}
# An inode table that cannot be read costs the inodes of its bad blocks, not those of the group.
bad_table_costs_little()
{
	local table
	with_file
	table=$(dumpe2fs "$img" 2>/dev/null | grep -o 'Inode table at [0-9]*' | head -1 | grep -o '[0-9]*$')
	on_bad_disk $(((table + 30) * 1024))-$(((table + 30) * 1024 + 1)) 4 -fn "$img"
	grep -q "in block $((table + 30)) cannot be read" "$WORK/out"
	! grep -q unused "$WORK/out"
}
bad_list_is_undone()
{
	with_file
	printf '%s\n' 9000 "${blocks[3]}" >"$WORK/list"
	status 1 -y --undo "$WORK/undo3" -l "$WORK/list" "$img"
	status 0 --undo-apply "$WORK/undo3" "$img"
	cmp "$img" "$WORK/before"
}

# ---- directories ----

# Long directories with many holes in them: of 600 names one in three is left, of 40 all, of 3000 none.
with_directories()
{
	rm -rf "$img" "$WORK/dirs"
	mkdir -p "$WORK/dirs/thin" "$WORK/dirs/full" "$WORK/dirs/empty" "$WORK/dirs/small"
	(cd "$WORK/dirs/thin" && seq -f 'a_name_in_a_directory_%g' 600 | xargs touch)
	(cd "$WORK/dirs/full" && seq -f 'another_name_%g' 400 | xargs touch)
	(cd "$WORK/dirs/empty" && seq -f 'and_one_more_name_%g' 300 | xargs touch)
	: >"$WORK/dirs/small/x"
	mke2fs -q -F -t ext3 -b 1024 "$@" -d "$WORK/dirs" "$img" 12M 2>/dev/null
	{
		seq -f 'rm empty/and_one_more_name_%g' 300
		seq -f 'rm thin/a_name_in_a_directory_%g' 600 | sed 'n;n;d'
	} | debugfs -w "$img" >/dev/null 2>&1
	e2fsck -fn "$img"
	cp "$img" "$WORK/before"
}
size_of() { debugfs -R "stat $1" "$img" 2>/dev/null | grep -om1 'Size: [0-9]*' | grep -o '[0-9]*'; }
directories_are_indexed()
{
	with_directories -O dir_index
	status 0 -y -D "$img"				# clean: nothing is looked at, as with e2fsck
	cmp "$img" "$WORK/before"
	status 0 -fyD "$img"
	whole "$img"
	debugfs -R 'htree thin' "$img" 2>/dev/null | grep -q 'Number of entries'
	debugfs -R 'htree full' "$img" 2>/dev/null | grep -q 'Number of entries'
	[ "$(size_of empty)" -eq 1024 ]
	cp "$img" "$WORK/once"
	status 0 -fyD "$img"
	grep -q ' 0 directories packed' "$WORK/out"	# what is packed stays
	status 0 -fy --undo "$WORK/undo4" -D "$WORK/before"
	status 0 --undo-apply "$WORK/undo4" "$WORK/before"
	e2fsck -fn "$WORK/before"
}
directories_are_packed()
{
	with_directories -O ^dir_index
	status 0 -fpD "$img"
	whole "$img"
	[ "$(size_of empty)" -eq 1024 ]
	[ "$(size_of thin)" -lt 20000 ]
}
# Where no block is free each directory stays as it is.
full_disk_is_not_optimized()
{
	with_directories -O dir_index
	dd if=/dev/zero of="$WORK/filler" bs=1024 count=12000 status=none
	printf 'write %s filler\n' "$WORK/filler" | debugfs -w "$img" >/dev/null 2>&1
	"$FSCK" -fy "$img" >/dev/null || [ $? -eq 1 ]	# debugfs leaves a file without its end
	cp "$img" "$WORK/before"
	status 0 -fyD "$img"
	whole "$img"
}
# The same name in two blocks, which nobody sees before the blocks become one.
names_in_two_blocks_are_parted()
{
	with_directories -O ^dir_index
	echo 'rename /thin a_name_in_a_directory_600 a_name_in_a_directory_102' | edit
	cp "$img" "$WORK/before"
	status 0 -fn "$img"
	status 1 -fyD "$img"
	grep -q "'a_name_in_a_directory_102' is twice" "$WORK/out"
	debugfs -R 'ls thin' "$img" 2>/dev/null | grep -q 'a_name_in_a_directory_102~00'
	whole "$img"
}

# ---- questions ----

# on_terminal N KEYS OPTIONS...
on_terminal()
{
	local want=$1 keys=$2 got=0
	shift 2
	"$BUILD/tools/onpty" "$keys" "$FSCK" "$@" >"$WORK/out" || got=$?
	[ "$got" -eq "$want" ] || { echo "status $got, not $want: $keys"; cat "$WORK/out"; return 1; }
}
two_names_of_nothing()
{
	fresh
	rm -rf "$WORK/tree2"
	mkdir "$WORK/tree2"
	echo a >"$WORK/tree2/a"
	echo b >"$WORK/tree2/b"
	rm -f "$img"
	mke2fs -q -F -t ext3 -b 1024 -d "$WORK/tree2" "$img" 12M 2>/dev/null
	printf 'clri a\nclri b\n' | debugfs -w "$img" >/dev/null 2>&1
	cp "$img" "$WORK/before"
}
a_person_says_yes()
{
	two_names_of_nothing
	on_terminal 1 'yYyyyyyyyyyyyy' -f "$img"
	grep -q "names the unused inode.*<y>? yes" "$WORK/out"
	status 0 -fn "$img"
	e2fsck -fn "$img"
}
a_person_presses_enter()
{
	two_names_of_nothing
	on_terminal 1 '\n\n \n \n\n\n\n\n\n' -f "$img"
	status 0 -fn "$img"
}
a_person_says_no()
{
	two_names_of_nothing
	on_terminal 4 'nnnnnNnnnnnnnn' -f "$img"
	grep -q "<y>? no" "$WORK/out"
	status 4 -fn "$img"
}
a_person_says_yes_to_all()
{
	two_names_of_nothing
	on_terminal 1 'na' -f "$img"			# the second question is answered for all that follow
	grep -q 'yes to all' "$WORK/out"
	status 4 -fn "$img" || status 0 -fn "$img"
}
a_person_interrupts()
{
	local keys
	for keys in '\c' '\d' ''; do
		two_names_of_nothing
		on_terminal 32 "$keys" -f "$img"
		cmp "$img" "$WORK/before"		# nothing was agreed to, nothing was written
	done
	on_terminal 36 'y\c' -f "$img"			# 4: what was begun is to be checked again
	status 1 -p "$img" || status 1 -y "$img"
	e2fsck -fn "$img"
}
# A bar on a terminal; lines to a descriptor; both can be begun and ended by signals.
bar_on_terminal()
{
	fresh
	on_terminal 0 '' -fn -C 0 "$img"
	grep -q '|=.*100%' "$WORK/out"
	"$BUILD/tools/onpty" '' sh -c "exec \"$FSCK\" -fn -C -7 \"$img\" 7>\"$WORK/progress\""
	[ ! -s "$WORK/progress" ]
}

# fsck(8) finds the program by the type that fstab has, hands options on, and adds the statuses.
fstab_is_honoured()
{
	local got
	command -v fsck >/dev/null || { echo "no fsck(8) here"; return 1; }
	mkdir -p "$WORK/sbin" "$WORK/m1" "$WORK/m2"
	ln -sf "$FSCK" "$WORK/sbin/fsck.extant"
	ln -sf "$FSCK" "$WORK/sbin/fsck.fuse.extant"
	fresh
	cp "$img" "$WORK/second"
	printf '%s %s extant defaults 0 2\n%s %s fuse.extant defaults 0 2\n' "$img" "$WORK/m1" "$WORK/second" "$WORK/m2" >"$WORK/fstab"
	cp "$img" "$WORK/damaged"
	echo 'super state 2' | "$BUILD/tools/imgedit" "$WORK/second"
	fsck8() { got=0; FSTAB_FILE=$WORK/fstab PATH=$WORK/sbin:$PATH fsck -T "$@" >"$WORK/out" 2>"$WORK/err" || got=$?; }
	fsck8 -A -a
	[ $got -eq 0 ]
	grep -q "^$img: clean" "$WORK/out"
	grep -q "second contains a file system with errors, check forced" "$WORK/out"
	fsck8 -A -a
	[ "$(grep -c ': clean, ' "$WORK/out")" -eq 2 ]
	echo 'group 1 free_blocks_count 1' | edit
	fsck8 -A -t extant -f -a			# what is repaired tells by status 1
	[ $got -eq 1 ]
	! grep -q second "$WORK/out"
	echo 'entry / lost+found inode 7' | edit
	fsck8 "$WORK/m1" -a -f				# by its mount point; what is not safe by 4
	[ $got -eq 4 ]
	fsck8 -t extant "$img" -y -f
	[ $got -eq 1 ]
	fsck8 -A -- -n -f
	[ $got -eq 0 ]
}
# Signals that meet a question: SIGTERM ends it, SIGUSR1 is no answer, but draws the bar, or speaks where -C says.
met_by_signals()
{
	two_names_of_nothing
	on_terminal 32 '\t' -f "$img"
	cmp "$img" "$WORK/before"
	on_terminal 1 '\uyyyyyyyyyyyyyyy' -f "$img"
	grep -q '|=.*100%' "$WORK/out"
	cp "$WORK/before" "$img"
	"$BUILD/tools/onpty" '\uyyyyyyyyyyyyyyy' sh -c "exec \"$FSCK\" -f -C -7 \"$img\" 7>\"$WORK/progress\"" || [ $? -eq 1 ]
	grep -Eq "^5 [0-9]+ [0-9]+ $img\$" "$WORK/progress"
	[ "$(head -c 1 "$WORK/progress")" -gt 1 ]	# not of pass 1, which was before
}

json_is_json()
{
	fresh
	echo 'group 1 free_inodes_count 1' | edit
	status 8 --json -n "$WORK/none"
	grep -q '"status": 8, "error": "No such file' "$WORK/out"
	status 4 --json -fn "$img"
	! grep -q '"error"' "$WORK/out"
	if command -v python3 >/dev/null; then
		python3 -c 'import json,sys; r=json.load(open(sys.argv[1])); assert r["status"]==4 and r["left"]>0 and r["problems"][0]["code"]' "$WORK/out"
	fi
}
progress_lines()
{
	fresh
	"$FSCK" -fn -C 7 "$img" 7>"$WORK/progress" >/dev/null
	! grep -Evq "^[1-5] [0-9]+ [0-9]+ $img\$" "$WORK/progress"
	grep -Eq "^1 [0-9]+ [0-9]+ $img\$" "$WORK/progress"
	grep -Eq "^5 [0-9]+ [0-9]+ $img\$" "$WORK/progress"
	status 0 -fn -C 0 "$img"			# no bar into a pipe
	! grep -q '|' "$WORK/out"
}
# The numbers of -v are those of e2fsck, line by line; so are the places that fragcheck tells.
verbose_counts()
{
	with_directories -O dir_index
	mkfifo "$WORK/dirs/fifo"
	ln -s target "$WORK/dirs/link"
	ln -s "$(printf '%0100d' 1)" "$WORK/dirs/long"
	ln "$WORK/dirs/small/x" "$WORK/dirs/hard"
	seq 1 80000 >"$WORK/dirs/large"
	rm "$img"
	mke2fs -q -F -t ext3 -b 1024 -d "$WORK/dirs" "$img" 12M
	printf 'rm small/x\nwrite %s again\n' "$WORK/dirs/large" | debugfs -w "$img" >/dev/null 2>&1
	e2fsck -fy "$img" || [ $? -eq 1 ]
	status 0 -fnv -E fragcheck "$img"
	e2fsck -fnv -E fragcheck "$img" >"$WORK/theirs" 2>/dev/null
	diff <(grep '^ *[0-9]\|ind/dind' "$WORK/out" | tr -s ' ') <(grep '^ *[0-9]\|ind/dind' "$WORK/theirs" | tr -s ' ')
	[ "$(grep -c expecting "$WORK/out")" -gt 0 ]
}
discard_keeps_it_whole() { fresh; status 0 -fy -E discard "$img"; status 0 -fn "$img"; }
unknown_feature_is_refused()
{
	fresh
	rm -f "$img"
	mke2fs -q -F -t ext4 "$img" 12M
	cp "$img" "$WORK/before"
	status 8 -fy "$img"
	cmp "$img" "$WORK/before"
}

try "a clean file system is one line" clean_is_one_line
try "-V leaves 0" version
try "no image leaves 16" nothing_given
try "an unknown option leaves 16" unknown_option
try "an unknown word of -E leaves 1" unknown_extended
try "two of -p -n -y leave 8" two_modes
try "no such file leaves 8" no_such_file
try "no file system leaves 8" no_file_system
try "no terminal and no mode leaves 8" no_terminal
try "a number that is none leaves 1, no descriptor 8" bad_number
try "-n goes with none of -c -l -L -D" refused_with_n
try "options without effect are taken, byte swapping is refused" without_effect
try "--help leaves 0" help_is_shown
try "-n leaves 4 and changes nothing, -y leaves 1" errors_left
try "-p repairs what is safe" preen_repairs_what_is_safe
try "-p stops at what is not safe" preen_stops_at_what_is_not
try "errors in the state force a check" forced_by_state
try "many mounts force a check" forced_by_mounts
try "-b takes a copy" by_copy
try "an image in use is refused by name, -n warns" in_use_is_refused
try "--undo-apply brings every byte back" undone
try "-n replays the journal in memory and changes no byte" replayed_in_memory
try "--undo-apply takes a replay back" replay_is_undone
try "statuses are those of e2fsck, option by option" statuses_are_theirs
try "-l adds to the list of bad blocks, -L sets it, files move away" bad_list_is_set
try "-c finds what cannot be read, -cc and -k" bad_blocks_are_found
try "a bad block in an inode table costs only its inodes" bad_table_costs_little
try "a list of bad blocks is undone" bad_list_is_undone
try "-D packs and indexes directories, once" directories_are_indexed
try "-D packs directories without indexes" directories_are_packed
try "-D leaves directories where nothing is free" full_disk_is_not_optimized
try "-D parts names that are there twice" names_in_two_blocks_are_parted
try "a person says yes" a_person_says_yes
try "Enter and space say yes" a_person_presses_enter
try "a person says no" a_person_says_no
try "a person says yes to all" a_person_says_yes_to_all
try "Ctrl-C, Ctrl-D and hanging up leave 32" a_person_interrupts
try "a bar on a terminal, a silent descriptor" bar_on_terminal
try "fsck(8) and fstab" fstab_is_honoured
try "signals end the check, and begin progress" met_by_signals
try "--json can be read by a program" json_is_json
try "-C writes lines, and no bar into a pipe" progress_lines
try "-v counts" verbose_counts
try "-E discard leaves a whole file system" discard_keeps_it_whole
try "features that are not known are refused, nothing is written" unknown_feature_is_refused
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
