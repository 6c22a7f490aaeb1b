/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities by libcap-ng, the filter of system calls by libseccomp. */
#include "guest-helper/confine.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ALL_32 UINT32_MAX /* The kernel looks at an int. */

/*
 * A sanitizer makes calls of its own that no list foresees, and valgrind
 * needs memory that is writable and executable.  Capabilities are given up
 * under them, too.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INSTRUMENTED "built with a sanitizer"
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define INSTRUMENTED "built with a sanitizer"
#endif
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif
#ifndef INSTRUMENTED
#define INSTRUMENTED (RUNNING_ON_VALGRIND ? "running under valgrind" : NULL)
#endif

/* ---- capabilities ---- */

static const unsigned int kept_capabilities[] = {
	CAP_SYS_ADMIN,       /* FIFREEZE and FITHAW. */
	CAP_DAC_READ_SEARCH, /* Mount points below folders of others. */
	CAP_SYS_PTRACE,      /* /proc/PID/root of other mount namespaces. */
	CAP_SYS_NICE,        /* The dead-man: real-time priority, */
	CAP_IPC_LOCK,        /* locked memory, */
	CAP_SYS_RESOURCE,    /* and no OOM killer. */
};

static int
drop_capabilities(struct err *err)
{
	bool kept[COUNT(kept_capabilities)], may_lock;
	size_t i;

	if (capng_get_caps_process() == -1)
		return err_set(err, ERR_IO, "cannot read the capabilities");
	for (i = 0; i < COUNT(kept); i++)
		kept[i] = capng_have_capability(
		    CAPNG_PERMITTED, kept_capabilities[i]);
	may_lock = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	if (may_lock && capng_lock() != 0)
		return err_set(err, ERR_AUTH, "cannot lock the secure bits");
	capng_clear(CAPNG_SELECT_ALL);
	for (i = 0; i < COUNT(kept); i++)
		if (kept[i])
			capng_update(CAPNG_ADD,
			    CAPNG_EFFECTIVE | CAPNG_PERMITTED,
			    kept_capabilities[i]);
	/* A container may forbid the bounding set, which then matters little:
	 * nothing can be executed. */
	if (capng_apply(may_lock
			    ? CAPNG_SELECT_ALL
			    : CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT) != 0)
		return err_set(err, ERR_AUTH, "cannot drop capabilities");
	return 0;
}

/* ---- system calls ---- */

/* Names that an architecture does not have are passed over. */
static const char *const allowed[] = {
	/* Files that are open. */
	"read",
	"readv",
	"pread64",
	"write",
	"writev",
	"pwrite64",
	"lseek",
	"_llseek",
	"close",
	"dup",
	"dup2",
	"fstat",
	"fstat64",
	"fsync",
	"fdatasync",
	"syncfs",
	"getdents",
	"getdents64",
	"fstatfs",
	"fstatfs64",
	/* Files by name: mount tables, /sys, the port, the record. */
	"open",
	"openat",
	"stat",
	"stat64",
	"lstat",
	"lstat64",
	"newfstatat",
	"fstatat64",
	"statx",
	"statfs",
	"statfs64",
	"access",
	"faccessat",
	"faccessat2",
	"readlink",
	"readlinkat",
	"getcwd",
	"chdir",
	"mkdir",
	"mkdirat",
	"rename",
	"renameat",
	"renameat2",
	"unlink",
	"unlinkat",
	"umask",
	/* The channel, the dead-man and the spawner. */
	"accept",
	"accept4",
	"recv",
	"recvfrom",
	"recvmsg",
	"send",
	"sendto",
	"sendmsg",
	"pipe",
	"pipe2",
	"eventfd2",
	"poll",
	"ppoll",
	"ppoll_time64",
	"epoll_create1",
	"epoll_ctl",
	"epoll_wait",
	"epoll_pwait",
	"signalfd4",
	"timerfd_create",
	"timerfd_settime",
	"timerfd_settime64",
	"timerfd_gettime",
	"timerfd_gettime64",
	/* Memory. */
	"brk",
	"munmap",
	"mremap",
	"madvise",
	"mlock",
	"mlock2",
	"mlockall",
	"munlock",
	"munlockall",
	/* Time. */
	"clock_gettime",
	"clock_gettime64",
	"clock_getres",
	"clock_getres_time64",
	"clock_nanosleep",
	"clock_nanosleep_time64",
	"gettimeofday",
	"nanosleep",
	"time",
	/* Processes and threads of our own. */
	"fork",
	"exit",
	"exit_group",
	"wait4",
	"waitid",
	"waitpid",
	"futex",
	"futex_time64",
	"set_robust_list",
	"get_robust_list",
	"rseq",
	"set_tid_address",
	"set_thread_area",
	"getpid",
	"getppid",
	"gettid",
	"getuid",
	"geteuid",
	"getgid",
	"getegid",
	"getuid32",
	"geteuid32",
	"getgid32",
	"getegid32",
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"sigreturn",
	"sigaltstack",
	"restart_syscall",
	"sched_setscheduler",
	"sched_getscheduler",
	"sched_getparam",
	"sched_getaffinity",
	"sched_yield",
	"getrlimit",
	"ugetrlimit",
	"getrandom",
	"uname",
	"sysinfo",
};

#define NAMESPACES \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | \
	    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)
#ifdef __s390__
#define CLONE_FLAGS_ARG 1
#else
#define CLONE_FLAGS_ARG 0
#endif

/* Allowed if (argument & mask) == value. */
static const struct rule {
	const char *name;
	unsigned int arg;
	uint64_t mask, value;
} rules[] = {
	{ "ioctl", 1, ALL_32, FIFREEZE },
	{ "ioctl", 1, ALL_32, FITHAW },
	{ "ioctl", 1, ALL_32, LOOP_GET_STATUS64 },
	{ "ioctl", 1, ALL_32, TCGETS }, /* isatty(), of stdio. */
	{ "socketpair", 0, ALL_32, AF_UNIX },
	{ "clone", CLONE_FLAGS_ARG, NAMESPACES, 0 },
	{ "mmap", 2, PROT_EXEC, 0 },
	{ "mmap2", 2, PROT_EXEC, 0 },
	{ "mprotect", 2, PROT_EXEC, 0 },
	{ "prctl", 0, ALL_32, PR_SET_NAME },
	{ "prctl", 0, ALL_32, PR_SET_PDEATHSIG },
	{ "prlimit64", 0, ALL_32, 0 }, /* Of ourselves. */
	/* Others could have any signal sent to anybody by a file. */
	{ "fcntl", 1, ALL_32, F_GETFD },
	{ "fcntl", 1, ALL_32, F_SETFD },
	{ "fcntl", 1, ALL_32, F_GETFL },
	{ "fcntl", 1, ALL_32, F_SETFL },
	{ "fcntl", 1, ALL_32, F_DUPFD_CLOEXEC },
	{ "fcntl64", 1, ALL_32, F_GETFD },
	{ "fcntl64", 1, ALL_32, F_SETFD },
	{ "fcntl64", 1, ALL_32, F_GETFL },
	{ "fcntl64", 1, ALL_32, F_SETFL },
	{ "fcntl64", 1, ALL_32, F_DUPFD_CLOEXEC },
};

/* And if the other argument is this process. */
static const struct own_rule {
	struct rule rule;
	unsigned int pid_arg;
} own_rules[] = {
	{ { "fcntl", 1, ALL_32, F_SETOWN }, 2 },
	{ { "fcntl64", 1, ALL_32, F_SETOWN }, 2 },
	{ { "tgkill", 2, ALL_32, SIGABRT }, 0 },
};

static int
add_own_rule(
    scmp_filter_ctx filter, const struct own_rule *own, struct err *err)
{
	int number = seccomp_syscall_resolve_name(own->rule.name), rc;
	struct scmp_arg_cmp cmp[] = {
		{ own->rule.arg, SCMP_CMP_MASKED_EQ, own->rule.mask,
		    own->rule.value },
		{ own->pid_arg, SCMP_CMP_MASKED_EQ, ALL_32,
		    (uint64_t)getpid() },
	};

	if (number < 0)
		return 0;
	rc = seccomp_rule_add_exact_array(
	    filter, SCMP_ACT_ALLOW, number, COUNT(cmp), cmp);
	if (rc != 0)
		return err_errno(
		    err, -rc, "cannot filter '%s'", own->rule.name);
	return 0;
}

static int
add_rule(scmp_filter_ctx filter, uint32_t action, const char *name,
    const struct rule *rule, struct err *err)
{
	int number = seccomp_syscall_resolve_name(name), rc;
	struct scmp_arg_cmp cmp;

	if (number < 0)
		return 0;
	if (rule == NULL) {
		rc = seccomp_rule_add_exact(filter, action, number, 0);
	} else {
		cmp = (struct scmp_arg_cmp){ rule->arg, SCMP_CMP_MASKED_EQ,
			rule->mask, rule->value };
		rc = seccomp_rule_add_exact_array(
		    filter, action, number, 1, &cmp);
	}
	if (rc != 0)
		return err_errno(err, -rc, "cannot filter '%s'", name);
	return 0;
}

static int
fill(scmp_filter_ctx filter, struct err *err)
{
	size_t i;

	for (i = 0; i < COUNT(allowed); i++)
		if (add_rule(filter, SCMP_ACT_ALLOW, allowed[i], NULL, err) ==
		    -1)
			return -1;
	for (i = 0; i < COUNT(rules); i++)
		if (add_rule(filter, SCMP_ACT_ALLOW, rules[i].name, &rules[i],
			err) == -1)
			return -1;
	for (i = 0; i < COUNT(own_rules); i++)
		if (add_own_rule(filter, &own_rules[i], err) == -1)
			return -1;
	/* Its flags are in memory, out of sight; libc then takes clone. */
	return add_rule(filter, SCMP_ACT_ERRNO(ENOSYS), "clone3", NULL, err);
}

/*
 * A refused call fails with EPERM: ending the process instead would turn a
 * call that nobody thought of into a freeze that is cut short.  Refusals are
 * not logged: the kernel's audit can wait for a daemon that waits for the
 * disk that is frozen.
 */
static int
filter_calls(struct err *err)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc = -1, error;

	if (filter == NULL)
		return err_no_memory(err);
	if (fill(filter, err) == -1)
		goto out;
	error = seccomp_load(filter);
	if (error != 0)
		log_line(LOG_WARNING, "no filter of system calls: %s",
		    error == -ECANCELED ? "the kernel has none"
					: strerror(-error));
	rc = 0;
out:
	seccomp_release(filter);
	return rc;
}

const char *
confine_obstacle(void)
{
	return INSTRUMENTED;
}

int
confine_self(struct err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return err_errno(err, errno, "cannot renounce privileges");
	/* A core file would be written to a disk that is frozen, and only its
	 * end would tell the dead-man that the helper has died. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		return err_errno(err, errno, "cannot forbid core files");
	if (drop_capabilities(err) == -1)
		return -1;
	if (confine_obstacle() == NULL)
		return filter_calls(err);
	log_line(
	    LOG_NOTICE, "no filter of system calls: %s", confine_obstacle());
	return 0;
}
