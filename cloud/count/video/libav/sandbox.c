#define _GNU_SOURCE
#include "child.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static void limit(int what, rlim_t n) {
	struct rlimit l = {n, n};
	setrlimit(what, &l);
}

// set_limits bounds what the process can use. RLIMIT_DATA counts private memory that can be written, not libraries.
void set_limits(const struct config *c) {
	syscall(SYS_close_range, FD_INPUT + 1, ~0U, 0); // files that a library of the parent left open
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_DATA, (rlim_t)c->max_memory);
	struct rlimit cpu = {(rlim_t)c->max_cpu, (rlim_t)c->max_cpu + 5}; // SIGXCPU, later SIGKILL
	setrlimit(RLIMIT_CPU, &cpu);
	if (!*c->hardware)
		limit(RLIMIT_NOFILE, FD_INPUT + 2); // one more for landlock
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_NAME, "decoder");
}

// Calls that decoding needs: memory, threads and files that are already open.
static const int allowed[] = {
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(pread64), SCMP_SYS(lseek), SCMP_SYS(close), SCMP_SYS(munmap),
	SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
	SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(exit),
	SCMP_SYS(exit_group), SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday), SCMP_SYS(getrandom), SCMP_SYS(sysinfo), SCMP_SYS(restart_syscall),
};

// Calls that a driver of a GPU does not need either.
static const int denied[] = {
	SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(accept4),
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(ptrace), SCMP_SYS(kill),
	SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_getfd),
	SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(mount), SCMP_SYS(chroot), SCMP_SYS(bpf), SCMP_SYS(keyctl),
	SCMP_SYS(io_uring_setup), SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rename), SCMP_SYS(renameat),
	SCMP_SYS(renameat2), SCMP_SYS(truncate), SCMP_SYS(ftruncate),
};

// filter_software allows little and refuses the rest with EPERM. New threads are allowed, new processes are not;
// memory is never executable.
static int filter_software(scmp_filter_ctx f) {
	int r = 0;
	for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
		r |= seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
	r |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	r |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	r |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	r |= seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0); // the C library then uses clone
	r |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
	r |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	return r;
}

static int filter_hardware(scmp_filter_ctx f) {
	int r = 0;
	for (size_t i = 0; i < sizeof denied / sizeof *denied; i++)
		r |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), denied[i], 0);
	return r;
}

static int enter_seccomp(int hardware) {
	scmp_filter_ctx f = seccomp_init(hardware ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM));
	if (!f)
		return 0;
	int r = hardware ? filter_hardware(f) : filter_software(f);
	if (r == 0)
		r = seccomp_load(f);
	seccomp_release(f);
	return r == 0;
}

enum {
	READ = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_EXECUTE,
	EVERYTHING = (1 << 13) - 1, // the rights of the first version
};

static void allow_path(int rules, const char *path, uint64_t rights) {
	struct landlock_path_beneath_attr a = {.allowed_access = rights};
	a.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (a.parent_fd < 0)
		return;
	syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &a, 0);
	close(a.parent_fd);
}

// enter_landlock takes away every file, for a GPU all but its devices, libraries and what its driver reads. It returns
// the version of the kernel's interface, 0 when the kernel has none.
static int enter_landlock(int hardware) {
	int version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 1)
		return 0;
	struct landlock_ruleset_attr a = {.handled_access_fs = EVERYTHING};
	int rules = (int)syscall(SYS_landlock_create_ruleset, &a, sizeof a.handled_access_fs, 0);
	if (rules < 0)
		return 0;
	if (hardware) {
		static const char *const readable[] = {"/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", "/opt", "/run/nvidia"};
		for (size_t i = 0; i < sizeof readable / sizeof *readable; i++)
			allow_path(rules, readable[i], READ);
		allow_path(rules, "/dev", READ | LANDLOCK_ACCESS_FS_WRITE_FILE);
	}
	int r = (int)syscall(SYS_landlock_restrict_self, rules, 0);
	close(rules);
	return r == 0 ? version : 0;
}

struct isolation enter_sandbox(const struct config *c) {
	struct isolation i = {0};
	int hardware = *c->hardware != 0;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	i.landlock = enter_landlock(hardware);
	i.seccomp = enter_seccomp(hardware);
	if (c->strict && !i.seccomp)
		fail(CLASS_ISOLATION, "the kernel does not accept a seccomp filter");
	if (c->strict && hardware && !i.landlock)
		fail(CLASS_ISOLATION, "the kernel has no landlock, which decoding by hardware needs");
	return i;
}

static void report(struct text *t, const char *name, long result) {
	text_add(t, "%s\"%s\":%d", t->n > 1 ? "," : "", name, result < 0 ? errno : 0);
}

// try_escapes attempts what a captured decoder would attempt and sends the error number of each attempt, 0 for success.
void try_escapes(const char *path, const char *port) {
	struct text t = {0};
	text_add(&t, "{");
	report(&t, "open", syscall(SYS_openat, AT_FDCWD, path, O_RDONLY));
	report(&t, "create", syscall(SYS_openat, AT_FDCWD, "escaped", O_CREAT | O_WRONLY, 0600));
	report(&t, "stat", syscall(SYS_newfstatat, AT_FDCWD, path, NULL, 0));
	report(&t, "readlink", syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", &t, 0));
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int s = socket(AF_INET, SOCK_STREAM, 0);
	report(&t, "socket", s);
	report(&t, "connect", connect(FD_INPUT, (struct sockaddr *)&a, sizeof a));
	report(&t, "unix", socket(AF_UNIX, SOCK_STREAM, 0));
	report(&t, "execve", execve(path, (char *[]){NULL}, (char *[]){NULL}));
	report(&t, "fork", fork());
	report(&t, "kill", kill(getppid(), 0));
	report(&t, "ptrace", syscall(SYS_ptrace, 16 /* attach */, getppid(), 0, 0));
	report(&t, "executable", mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
	report(&t, "truncate", ftruncate(FD_PICTURE, 0));
	report(&t, "io_uring", syscall(SYS_io_uring_setup, 1, NULL));
	text_add(&t, "}");
	event_text('E', t.b, t.n);
}
