# Debian packages, by name: what the build needs, and what the tests need besides.
BUILD_PACKAGES := gcc make pkg-config libfuse3-dev fuse3 zlib1g-dev liburing-dev
TEST_PACKAGES  := check e2fsprogs fuse2fs fio attr acl rsync sqlite3 git
