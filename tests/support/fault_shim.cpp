// A library for LD_PRELOAD: one call of one rank fails, hangs or ends its process. How the tests reach the
// places that no input reaches: a failing MPI call, a full disk in the middle of a write, memory that runs out.
//
// SWITCHYARD_SHIM=FUNCTION:NTH:ACTION[:RANK]: the NTH call (from 1) of FUNCTION on RANK (default: every rank).
// SWITCHYARD_SHIM_PATH=PREFIX: only calls on files under PREFIX count, where the function is about a file.
// SWITCHYARD_SHIM_MARK=FILE: made when the fault was delivered.
//
// FUNCTION: one of the functions below by name; `new` is operator new; `MPI` any MPI call that is listed here;
// `MPI_Finalized` the end of MPI_Finalize.
// ACTION: a number: the call fails with that errno; fail: an MPI call returns MPI_ERR_OTHER, new throws; short:
// a write writes half; stop: SIGSTOP; kill: SIGKILL; segv: SIGSEGV; exit: _exit(1); usr1: SIGUSR1 to the
// process; slow: one second passes.
// Calls count from MPI_Init on under a launcher (from the start of the process for MPI_Init itself and without
// one).
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#define OMPI_SKIP_MPICXX 1
#include <mpi.h>

namespace {

struct Fault {
  char function[32] = "";
  long nth = 0;
  char action[16] = "";
  const char* path = nullptr;
  const char* mark = nullptr;
  bool is_launched = false;
  bool counts = false;  // calls count from now on
  std::atomic<long> calls{0};
};

// Made by the first call, which may come before any constructor; never destroyed, since calls come after
// destructors too.
Fault& fault() {
  static Fault& the = *[] {
    static char storage[sizeof(Fault)];
    auto* made = new (storage) Fault;
    const char* const text = std::getenv("SWITCHYARD_SHIM");
    if (text == nullptr) return made;
    int rank = -1;
    if (std::sscanf(text, "%31[^:]:%ld:%15[^:]:%d", made->function, &made->nth, made->action, &rank) < 3)
      std::abort();
    const char* const mine = std::getenv("OMPI_COMM_WORLD_RANK");
    if (rank >= 0 && std::atoi(mine != nullptr ? mine : "0") != rank) made->nth = 0;
    made->path = std::getenv("SWITCHYARD_SHIM_PATH");
    made->mark = std::getenv("SWITCHYARD_SHIM_MARK");
    made->is_launched = mine != nullptr && std::strncmp(made->function, "MPI_Init", 8) != 0;
    return made;
  }();
  return the;
}

bool action_is(const char* name) { return std::strcmp(fault().action, name) == 0; }

// True if this call must fail; other actions are done here.
bool strikes(const char* function) {
  Fault& the = fault();
  if (the.nth == 0 || !the.counts || std::strcmp(the.function, function) != 0) return false;
  if (++the.calls != the.nth) return false;
  if (the.mark != nullptr) {
    const long made = ::syscall(SYS_openat, AT_FDCWD, the.mark, O_CREAT | O_WRONLY, 0666);
    if (made >= 0) ::syscall(SYS_close, made);
  }
  if (action_is("stop")) {
    ::raise(SIGSTOP);
  } else if (action_is("kill")) {
    ::raise(SIGKILL);
  } else if (action_is("segv")) {
    ::raise(SIGSEGV);
  } else if (action_is("exit")) {
    ::_exit(1);
  } else if (action_is("usr1")) {
    ::kill(::getpid(), SIGUSR1);
  } else if (action_is("slow")) {
    ::sleep(1);
  } else {
    return true;
  }
  return false;
}

bool is_watched(const char* path) {
  const char* const prefix = fault().path;
  return prefix == nullptr || (path != nullptr && std::strncmp(path, prefix, std::strlen(prefix)) == 0);
}

bool is_watched(int descriptor) {
  if (descriptor <= 2) return false;
  if (fault().path == nullptr) return true;
  char link[64];
  char path[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = ::readlink(link, path, sizeof path - 1);
  if (length <= 0) return false;
  path[length] = '\0';
  return is_watched(path);
}

// What a system call that must fail returns.
template <class Result>
Result failed() {
  errno = std::atoi(fault().action);
  if (errno == 0) errno = EIO;
  return Result(-1);
}

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}
#define NEXT(name) static const auto next_##name = next<decltype(&name)>(#name)

}  // namespace

extern "C" {

// Functions on a file; `where` is a path or a descriptor.
#define ON_FILE(result, name, parameters, arguments, where)                               \
  result name parameters {                                                                \
    NEXT(name);                                                                           \
    if (fault().nth != 0 && is_watched(where) && strikes(#name)) return failed<result>(); \
    return next_##name arguments;                                                         \
  }
ON_FILE(ssize_t, read, (int fd, void* to, size_t size), (fd, to, size), fd)
ON_FILE(ssize_t, pread, (int fd, void* to, size_t size, off_t at), (fd, to, size, at), fd)
ON_FILE(int, fsync, (int fd), (fd), fd)
ON_FILE(int, fdatasync, (int fd), (fd), fd)
ON_FILE(int, ftruncate, (int fd, off_t size), (fd, size), fd)
ON_FILE(int, posix_fallocate, (int fd, off_t at, off_t size), (fd, at, size), fd)
ON_FILE(int, rename, (const char* from, const char* to), (from, to), from)
ON_FILE(int, unlink, (const char* path), (path), path)
ON_FILE(int, mkdir, (const char* path, mode_t mode), (path, mode), path)

#define WRITES(name, parameters, arguments, half)                  \
  ssize_t name parameters {                                        \
    NEXT(name);                                                    \
    if (fault().nth != 0 && is_watched(fd) && strikes(#name)) {    \
      if (action_is("short") && size > 1) return next_##name half; \
      return failed<ssize_t>();                                    \
    }                                                              \
    return next_##name arguments;                                  \
  }
WRITES(write, (int fd, const void* from, size_t size), (fd, from, size), (fd, from, size / 2))
WRITES(pwrite, (int fd, const void* from, size_t size, off_t at), (fd, from, size, at),
       (fd, from, size / 2, at))

// `mode` is passed on as it comes: it is there where O_CREAT asks for it, and not looked at elsewhere.
int open(const char* path, int flags, ...) {
  NEXT(open);
  __builtin_va_list list;
  __builtin_va_start(list, flags);
  const auto mode = __builtin_va_arg(list, unsigned);
  __builtin_va_end(list);
  if (fault().nth != 0 && is_watched(path) && strikes("open")) return failed<int>();
  return next_open(path, flags, mode);
}

// The libraries are set up, main comes next.
int __libc_start_main(int (*main)(int, char**, char**), int argc, char** argv, void (*init)(), void (*fini)(),
                      void (*rtld_fini)(), void* stack_end) {
  static const auto next_start = next<decltype(&__libc_start_main)>("__libc_start_main");
  if (!fault().is_launched) fault().counts = true;
  return next_start(main, argc, argv, init, fini, rtld_fini, stack_end);
}

int MPI_Init_thread(int* argc, char*** argv, int required, int* provided) {
  NEXT(MPI_Init_thread);
  strikes("MPI_Init_thread");
  const int code = next_MPI_Init_thread(argc, argv, required, provided);
  fault().counts = true;
  return code;
}
int MPI_Finalize() {
  NEXT(MPI_Finalize);
  strikes("MPI_Finalize");
  const int code = next_MPI_Finalize();
  strikes("MPI_Finalized");
  return code;
}

#define OF_MPI(name, parameters, arguments)                                           \
  int name parameters {                                                               \
    NEXT(name);                                                                       \
    if (fault().nth != 0 && (strikes(#name) || strikes("MPI"))) return MPI_ERR_OTHER; \
    return next_##name arguments;                                                     \
  }
OF_MPI(MPI_Comm_dup, (MPI_Comm comm, MPI_Comm* made), (comm, made))
OF_MPI(MPI_Comm_split, (MPI_Comm comm, int colour, int key, MPI_Comm* made), (comm, colour, key, made))
OF_MPI(MPI_Barrier, (MPI_Comm comm), (comm))
OF_MPI(MPI_Bcast, (void* data, int count, MPI_Datatype type, int root, MPI_Comm comm),
       (data, count, type, root, comm))
OF_MPI(MPI_Send, (const void* data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm),
       (data, count, type, to, tag, comm))
OF_MPI(MPI_Recv,
       (void* data, int count, MPI_Datatype type, int from, int tag, MPI_Comm comm, MPI_Status* status),
       (data, count, type, from, tag, comm, status))
OF_MPI(MPI_Allreduce, (const void* send, void* recv, int count, MPI_Datatype type, MPI_Op op, MPI_Comm comm),
       (send, recv, count, type, op, comm))
OF_MPI(MPI_Allgather,
       (const void* send, int send_count, MPI_Datatype send_type, void* recv, int recv_count,
        MPI_Datatype recv_type, MPI_Comm comm),
       (send, send_count, send_type, recv, recv_count, recv_type, comm))
OF_MPI(MPI_Allgatherv,
       (const void* send, int send_count, MPI_Datatype send_type, void* recv, const int* counts,
        const int* firsts, MPI_Datatype recv_type, MPI_Comm comm),
       (send, send_count, send_type, recv, counts, firsts, recv_type, comm))
OF_MPI(MPI_Alltoall,
       (const void* send, int send_count, MPI_Datatype send_type, void* recv, int recv_count,
        MPI_Datatype recv_type, MPI_Comm comm),
       (send, send_count, send_type, recv, recv_count, recv_type, comm))
OF_MPI(MPI_Alltoallv,
       (const void* send, const int* send_counts, const int* send_firsts, MPI_Datatype send_type, void* recv,
        const int* recv_counts, const int* recv_firsts, MPI_Datatype recv_type, MPI_Comm comm),
       (send, send_counts, send_firsts, send_type, recv, recv_counts, recv_firsts, recv_type, comm))
OF_MPI(MPI_Type_commit, (MPI_Datatype * type), (type))

}  // extern "C"

void* operator new(std::size_t size) {
  if (fault().nth != 0 && strikes("new")) throw std::bad_alloc();
  void* const made = std::malloc(size > 0 ? size : 1);
  if (made == nullptr) throw std::bad_alloc();
  return made;
}
void operator delete(void* given) noexcept { std::free(given); }
void operator delete(void* given, std::size_t) noexcept { std::free(given); }
