/*
 * ctl/ctl.h - the subcommands of extantctl.
 *
 * Purpose     main.c finds one by its name and hands it the words from its name on.
 * Errors      Exit statuses: 0, 1 (it failed, and said why), 2 (wrong use, and said how).
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#define CTL_FAILED 1
#define CTL_USAGE 2

int ctl_crash(int argc, char **argv);
int ctl_lab(int argc, char **argv);
int ctl_recover(int argc, char **argv);
int ctl_sched(int argc, char **argv);
int ctl_stat(int argc, char **argv);
int ctl_sync(int argc, char **argv);
int ctl_top(int argc, char **argv);
int ctl_trace(int argc, char **argv);
int ctl_iolog(int argc, char **argv);
int ctl_replay(int argc, char **argv);
int ctl_umount(int argc, char **argv);

/* As the program umount(8) looks for; exit statuses are umount's. */
int ctl_umount_helper(int argc, char **argv);

#endif
