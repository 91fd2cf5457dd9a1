/* svc/serve/serve_sandbox.c - the system calls that the service needs, and no others (seccomp). */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "svc/serve/serve_private.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#define CALL(name) __NR_##name

/* Files, sockets, memory, threads, clocks and signals of its own. Nothing that starts a program,
 * looks into another process, changes who it is, or changes the system. */
static const int allowed[] = {
    CALL(read),
    CALL(write),
    CALL(readv),
    CALL(writev),
    CALL(pread64),
    CALL(pwrite64),
    CALL(close),
    CALL(openat),
    CALL(fstat),
    CALL(newfstatat),
    CALL(statx),
    CALL(statfs),
    CALL(fstatfs),
    CALL(lseek),
    CALL(fsync),
    CALL(fdatasync),
    CALL(ftruncate),
    CALL(fallocate),
    CALL(fadvise64),
    CALL(renameat),
    CALL(renameat2),
    CALL(unlinkat),
    CALL(mkdirat),
    CALL(getdents64),
    CALL(faccessat),
    CALL(faccessat2),
    CALL(readlinkat),
    CALL(getcwd),
    CALL(fcntl),
    CALL(flock),
    CALL(fchmod),
    CALL(fchown),
    CALL(utimensat),
    CALL(dup),
    CALL(dup3),
    CALL(pipe2),
    CALL(eventfd2),
    CALL(ioctl),
    CALL(sendfile),
    CALL(copy_file_range),
    CALL(inotify_init1),
    CALL(inotify_add_watch),
    CALL(inotify_rm_watch),
    CALL(epoll_create1),
    CALL(epoll_ctl),
    CALL(epoll_pwait),
    CALL(ppoll),
    CALL(pselect6),
    CALL(socket),
    CALL(socketpair),
    CALL(connect),
    CALL(bind),
    CALL(listen),
    CALL(accept),
    CALL(accept4),
    CALL(getsockname),
    CALL(getpeername),
    CALL(setsockopt),
    CALL(getsockopt),
    CALL(sendto),
    CALL(recvfrom),
    CALL(sendmsg),
    CALL(recvmsg),
    CALL(sendmmsg),
    CALL(recvmmsg),
    CALL(shutdown),
    CALL(mmap),
    CALL(munmap),
    CALL(mprotect),
    CALL(mremap),
    CALL(madvise),
    CALL(msync),
    CALL(mincore),
    CALL(mlock),
    CALL(munlock),
    CALL(brk),
    CALL(membarrier),
    CALL(mbind),
    CALL(get_mempolicy),
    CALL(set_mempolicy),
    CALL(futex),
    CALL(set_robust_list),
    CALL(get_robust_list),
    CALL(set_tid_address),
    CALL(rseq),
    CALL(exit),
    CALL(exit_group),
    CALL(sched_yield),
    CALL(sched_getaffinity),
    CALL(sched_setaffinity),
    CALL(sched_getparam),
    CALL(sched_getscheduler),
    CALL(getpriority),
    CALL(gettid),
    CALL(getpid),
    CALL(getppid),
    CALL(getuid),
    CALL(geteuid),
    CALL(getgid),
    CALL(getegid),
    CALL(uname),
    CALL(sysinfo),
    CALL(prlimit64),
    CALL(getrlimit),
    CALL(getrusage),
    CALL(getcpu),
    CALL(umask),
    CALL(prctl),
    CALL(clock_gettime),
    CALL(clock_getres),
    CALL(clock_nanosleep),
    CALL(nanosleep),
    CALL(gettimeofday),
    CALL(times),
    CALL(getrandom),
    CALL(rt_sigaction),
    CALL(rt_sigprocmask),
    CALL(rt_sigreturn),
    CALL(rt_sigtimedwait),
    CALL(rt_sigpending),
    CALL(sigaltstack),
    CALL(tgkill),
    CALL(restart_syscall),
#if defined(__x86_64__)
    /* Older names of the same. */
    CALL(open),
    CALL(stat),
    CALL(lstat),
    CALL(access),
    CALL(rename),
    CALL(unlink),
    CALL(mkdir),
    CALL(rmdir),
    CALL(readlink),
    CALL(dup2),
    CALL(pipe),
    CALL(poll),
    CALL(select),
    CALL(epoll_wait),
    CALL(epoll_create),
    CALL(time),
    CALL(arch_prctl),
    CALL(chmod),
    CALL(chown),
    CALL(inotify_init),
#endif
};
enum { CALLS = sizeof allowed / sizeof allowed[0], MORE = 16 };

#if defined(ARCHITECTURE)

/* ---------------------------------------------------------------- what is refused is told */

/* Runs as a signal handler: only write(), and no memory. The call fails with EPERM, the service
 * goes on. */
static void on_refused(int number, siginfo_t *info, void *context)
{
    static const char before[] =
        "{\"level\":\"error\",\"event\":\"sandbox\",\"text\":\"the system call is not one that "
        "the service needs, and was refused\",\"call\":";
    ucontext_t *machine = context;
    char line[sizeof before + 16];
    size_t length = sizeof before - 1;
    char digits[12];
    size_t count = 0;
    (void)number;
    memcpy(line, before, length);
    for (unsigned call = (unsigned)info->si_syscall; count == 0 || call > 0; call /= 10) {
        digits[count++] = (char)('0' + call % 10);
    }
    while (count > 0) {
        line[length++] = digits[--count];
    }
    line[length++] = '}';
    line[length++] = '\n';
    (void)!write(STDERR_FILENO, line, length);
#if defined(__x86_64__)
    machine->uc_mcontext.gregs[REG_RAX] = -EPERM;
#else
    machine->uc_mcontext.regs[0] = (unsigned long long)-EPERM;
#endif
}

/* ---------------------------------------------------------------- the filter */

/* A thread is no new process: it shares the memory. clone3() hides its flags from a filter; what
 * is told that it does not exist uses clone(). */
static size_t add_threads(struct sock_filter *at)
{
    const struct sock_filter code[] = {
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CALL(clone3), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CALL(clone), 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x00010000 /* CLONE_THREAD */, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
    memcpy(at, code, sizeof code);
    return sizeof code / sizeof code[0];
}

squall_status sq_serve_confine(squall_error *err)
{
    static struct sock_filter code[2 * CALLS + MORE];
    size_t count = 0;
    code[count++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    code[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
    code[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    code[count++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < CALLS; i++) {
        code[count++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i], 0, 1);
        code[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    count += add_threads(code + count);
    code[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
    const struct sock_fprog program = {.len = (unsigned short)count, .filter = code};
    const struct sigaction action = {.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO};
    if (sigaction(SIGSYS, &action, NULL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, "sandbox",
                       "the system takes no filter (%s); sandbox = no does without",
                       strerror(errno));
    }
    return SQUALL_OK;
}

#else

squall_status sq_serve_confine(squall_error *err)
{
    return sq_fail(err, SQUALL_E_UNSUPPORTED, "sandbox",
                   "there is no filter for this kind of processor; set sandbox = no");
}

#endif
