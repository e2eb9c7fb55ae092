// A rank that ends as its arguments say, for the tests of launch/run.sh.
//
//   exit CODE   all ranks finalise and leave with CODE
//   leave CODE  the last rank leaves with CODE at once, without finalising, as a watchdog does
//   kill        the last rank is killed by SIGKILL
//   wait        all ranks wait for SIGUSR1, take half a second for a checkpoint, and leave with 75
#include <mpi.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

volatile std::sig_atomic_t asked_to_stop = 0;

void on_signal(int) { asked_to_stop = 1; }

// Longer than the tests wait, then give up: nothing that goes wrong here may stay.
void wait_until_asked() {
  for (int i = 0; i < 60'000 && asked_to_stop == 0; ++i) usleep(10'000);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGUSR1, on_signal);
  MPI_Init(&argc, &argv);
  int rank = 0, ranks = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  const std::string_view how = argc > 1 ? argv[1] : "";
  const int code = argc > 2 ? std::atoi(argv[2]) : 0;
  const bool is_last = rank == ranks - 1;

  MPI_Barrier(MPI_COMM_WORLD);
  if (rank == 0) {
    std::printf("%d ranks run\n", ranks);
    std::fflush(stdout);
  }
  int result = 1;
  if (how == "exit") {
    result = code;
  } else if (how == "leave" || how == "kill") {
    if (is_last && how == "leave") _exit(code);
    if (is_last) raise(SIGKILL);
    wait_until_asked();
  } else if (how == "wait") {
    wait_until_asked();
    usleep(500'000);
    result = asked_to_stop != 0 ? 75 : 1;
  }
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank == 0) std::printf("ranks left together\n");
  MPI_Finalize();
  return result;
}
