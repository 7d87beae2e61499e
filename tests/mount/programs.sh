#!/usr/bin/env bash
# Real programs do their work inside a mount: git, SQLite with both journal modes, tar, a C build, npm;
# one after the other on 1 KiB blocks and all at once on 4 KiB blocks. Their own checks say that
# nothing was lost, before and after a fresh mount, and e2fsck says that the image is clean.
. "$(dirname "$0")/lib.sh"
need_fuse

top=$PWD
export HOME=$WORK GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@example.org GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@example.org

# Each program is a pair: work DIR, and check DIR, which must hold again after a fresh mount.

git_work()
{
	local i
	mkdir "$1" && cd "$1"
	git init -q -b main repo && cd repo
	cp -r "$top/src" "$top/include" .
	git add . && git commit -q -m first
	for i in $(seq 20); do
		seq "$i" 500 >"numbers-$i"
		echo "/* $i */" >>src/base/list-$((i % 3)).c
		git add . && git commit -q -m "change $i"
	done
	git checkout -q -b other HEAD~10
	seq 9 >nine && git add . && git commit -q -m nine
	git checkout -q main && git merge -q -m merge other
	cd ..
	git clone -q repo clone
	git clone -q --no-hardlinks --bare repo bare.git
	git -C repo gc -q --prune=now
	git -C repo mv nine ten && git -C repo commit -q -m ten
	git -C clone pull -q
	git_check "$1"
}

git_check()
{
	local dir
	for dir in repo clone bare.git; do
		git -C "$1/$dir" fsck --full --strict
	done
	[ "$(git -C "$1/repo" rev-parse HEAD)" = "$(git -C "$1/clone" rev-parse HEAD)" ]
	[ -z "$(git -C "$1/repo" status --porcelain)" ]
	[ -z "$(git -C "$1/clone" status --porcelain)" ]
}

# sqlite_fill FILE MODE: inserts, updates, deletes; two writers at once that wait for each other
sqlite_fill()
{
	local insert="WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<5000)
		INSERT INTO t SELECT NULL, i, hex(randomblob(40)) FROM n;"
	echo "PRAGMA journal_mode=$2; CREATE TABLE t(id INTEGER PRIMARY KEY, n INT, s TEXT);
		CREATE INDEX t_n ON t(n); $insert $insert" | sqlite3 "$1"
	for _ in $(seq 25); do
		echo "INSERT INTO t VALUES(NULL, 1, 'one');"
	done | sqlite3 "$1" -cmd '.timeout 60000' &
	for _ in $(seq 25); do
		echo "INSERT INTO t VALUES(NULL, 2, 'two');"
	done | sqlite3 "$1" -cmd '.timeout 60000'
	wait $!
	echo "DELETE FROM t WHERE n % 3 = 0; UPDATE t SET s = upper(s) WHERE n % 5 = 0; VACUUM;" |
		sqlite3 "$1" -cmd '.timeout 60000'
}

sqlite_work()
{
	mkdir "$1"
	sqlite_fill "$1/rollback.db" delete
	sqlite_fill "$1/wal.db" wal
	sqlite_fill "$1/truncate.db" truncate
	sqlite_check "$1"
}

sqlite_check()
{
	local db
	for db in rollback wal truncate; do
		# A read-only mount has no place for a WAL's shared memory.
		cp "$1/$db".db* "$WORK/"
		[ "$(sqlite3 "$WORK/$db.db" 'PRAGMA integrity_check')" = ok ]
		[ "$(sqlite3 "$WORK/$db.db" 'SELECT count(*) FROM t')" = 6718 ]
		rm -f "$WORK/$db".db*
	done
}

tar_work()
{
	mkdir "$1" && cd "$1"
	tar -C /usr -cf include.tar include
	tar -xpf include.tar
	tar -czf include.tgz include
	mkdir again && tar -C again -xzpf include.tgz
	rm -r again/include && tar -C again -xzpf include.tgz
	tar_check "$1"
}

tar_check()
{
	tar -C "$1" -df "$1/include.tar"
	diff -r --no-dereference /usr/include "$1/include"
	diff -r --no-dereference /usr/include "$1/again/include"
}

build_work()
{
	mkdir "$1" && cd "$1"
	mkdir -p tests
	cp -r "$top/Makefile" "$top/src" "$top/include" .
	cp -r "$top/tests/harness" tests/
	# A make of its own, whatever make started this script.
	env -u MAKEFLAGS -u MAKELEVEL -u BUILD make -j2 ROOMS="base layout block" build/libextant.a >build.log 2>&1 ||
		{ tail -20 build.log; return 1; }
	build_check "$1"
}

# make compares times: nothing is built again.
build_check()
{
	cd "$1"
	env -u MAKEFLAGS -u MAKELEVEL -u BUILD make -q ROOMS="base layout block" build/libextant.a
	[ "$(ar t build/libextant.a | wc -l)" -ge 20 ]
}

npm_work()
{
	mkdir "$1" && cd "$1"
	npm init -y >/dev/null
	npm install --no-audit --no-fund --cache "$1/cache" express
	npm_check "$1"
}

npm_check()
{
	cd "$1"
	[ "$(node -e 'console.log(typeof require("express")())')" = function ]
	npm ls >/dev/null
}

programs=(git sqlite tar build)
if ! command -v npm >/dev/null; then
	# Not among the test packages: it draws in some four hundred others.
	echo "skipped: npm install: npm is not installed"
	nr_skipped=$((nr_skipped + 1))
elif ! npm ping >/dev/null 2>&1; then
	skip "npm install" "the registry does not answer"
else
	programs+=(npm)
fi

# on_image HOW MKE2FS-ARGS...
on_image()
{
	local how=$1 program pids=() status=0
	shift
	make_image "$IMG" mke2fs "$@" 1G
	mount_it "$IMG" "$MNT"
	for program in "${programs[@]}"; do
		(
			set -e
			"${program}_work" "$MNT/$program"
		) >"$WORK/$program.log" 2>&1 &
		pids+=($!)
		[ "$how" = together ] || wait $! || status=1
	done
	for program in "${!pids[@]}"; do
		wait "${pids[$program]}" || {
			status=1
			echo "${programs[$program]} failed:"
			tail -n 20 "$WORK/${programs[$program]}.log"
		}
	done
	cd "$top"
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
	[ "$status" -eq 0 ]
	mount_it "$IMG" "$MNT" ro
	for program in "${programs[@]}"; do
		echo "checking $program"
		(
			set -e
			"${program}_check" "$MNT/$program"
		)
	done
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
}

try "${programs[*]} at once, 4 KiB blocks" on_image together -t ext3 -b 4096
[ -n "$QUICK" ] || try "${programs[*]} in turn, 1 KiB blocks" on_image alone -t ext3 -b 1024 -N 100000
finish
