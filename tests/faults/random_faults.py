"""A fault at a random call or moment, on 1 to 8 ranks: the run ends in time, says why once, and goes on to the same bits.

A fault is a failing, slow, stopping or killing call (the library FAULT_SHIM, tests/support/fault_shim.cpp), or a signal
from outside. What is asserted of each that was delivered:
it ends within ten seconds plus run.wait_seconds (and what the machine needs for an undisturbed run) with a code that
fits; standard error holds one sentence on it; a rank that is missing is named; nobody lives on; and the run, gone on,
ends with the bits of an undisturbed one.
"""

import math
import os
import re
import signal
import time

import harness
import random_configuration
import random_damage
import runs

SHORTEST_WAIT_SECONDS = 4
GRACE_SECONDS = 10
MPI_CALLS = ("MPI_Comm_dup", "MPI_Barrier", "MPI_Bcast", "MPI_Send", "MPI_Recv", "MPI_Allreduce", "MPI_Allgatherv",
             "MPI_Alltoall", "MPI_Alltoallv", "MPI_Type_commit")
FILE_CALLS = ("write", "pwrite", "fsync", "ftruncate", "posix_fallocate", "rename", "open", "read", "pread")
ERRORS = (5, 13, 28)  # EIO, EACCES, ENOSPC
SIGNALS = ("STOP", "KILL", "SEGV", "TERM", "USR1", "HUP", "INT", "USR2", "XCPU")
# What the program says about an end, once: an error with its kind, or a wait that was too long.
CAUSE = re.compile(r"switchyard.*(?:error: |has waited|have waited|waits for|wait for)")


class Faults(harness.Harness):
    def __init__(self):
        super().__init__("random_faults", __doc__, default_count=25, unit="delivered faults")
        self.config = self.folder / "a.ini"
        random_configuration.write(self.config, random_damage.CONFIGURATION)
        self.straight = self.folder / "straight"
        finished = harness.train(self.config, f"--run.dir={self.straight}")
        harness.expect(finished.code == 0, finished)

    def attempt(self, one):
        ranks = one.random.choice((0, 1, 2, 2, 3, 3, 4, 5, 8))
        run = one.folder / "run"
        undisturbed = self.undisturbed_seconds(ranks, one.folder / "probe") if one.number % 10 == 0 else self.seconds[ranks]
        fault = one.random.choice((self.fault_of_a_call, self.fault_of_a_call, self.fault_from_outside))
        wait_seconds = max(SHORTEST_WAIT_SECONDS, math.ceil(undisturbed))  # no wait of a healthy run is as long
        finished, expected, delivered = fault(one, run, ranks, wait_seconds, GRACE_SECONDS + wait_seconds + 2 * undisturbed)
        if delivered:
            self.count(self.unit)
            expected.check(finished)
        else:
            self.count("faults that came too late")
            harness.expect(finished.code == 0, finished)
            harness.compare(self.straight, run)
            return
        again = harness.train(self.config, f"--run.dir={run}", "--run.resume=auto", ranks=one.random.choice((0, 2, 3)))
        harness.expect(again.code == 0, f"going on after\n{finished}\n---\n{again}")
        harness.compare(self.straight, run, warned=finished.err)

    seconds = dict.fromkeys(range(9), 20.0)

    def undisturbed_seconds(self, ranks, run):
        """What the machine needs now; measured again and again, since it has other work too."""
        begin = time.monotonic()
        finished = harness.train(self.config, f"--run.dir={run}", ranks=ranks)
        harness.expect(finished.code == 0, finished)
        taken = time.monotonic() - begin
        self.seconds = {count: max(2.0, taken * max(1, count) / max(1, ranks)) for count in self.seconds}
        return self.seconds[ranks]

    def start(self, run, ranks, wait_seconds, environment=None):
        return runs.Running("train", self.config, f"--run.dir={run}", f"--run.wait_seconds={wait_seconds}", ranks=ranks,
                            environment=environment)

    def fault_of_a_call(self, one, run, ranks, wait_seconds, limit_seconds):
        random = one.random
        victim = random.randrange(max(1, ranks))
        function, action = random_call(random, ranks)
        nth = int(10 ** random.uniform(0, 3 if function == "new" else 2))
        mark = one.folder / "delivered"
        environment = runs.fault(function, nth, action, victim, path=run if function in FILE_CALLS else None, mark=mark)
        what = f"{function} call {nth} of rank {victim} of {ranks}: {action}"
        running = self.start(run, ranks, wait_seconds, environment)
        finished = running.wait_or_stop(limit_seconds)
        return finished, Expectation(what, action, victim, ranks), mark.exists()

    def fault_from_outside(self, one, run, ranks, wait_seconds, limit_seconds):
        random = one.random
        name = random.choice(SIGNALS)
        running = self.start(run, ranks, wait_seconds)
        time.sleep(random.uniform(0, self.seconds[ranks]))
        pids = running.rank_pids()
        victim = random.choice(sorted(pids)) if pids else 0
        delivered = False
        if pids and running.process.poll() is None and is_switchyard(pids[victim]):
            try:
                os.kill(pids[victim], getattr(signal, f"SIG{name}"))
                delivered = True
            except ProcessLookupError:
                pass
        finished = running.wait_or_stop(limit_seconds)
        return finished, Expectation(f"{name} to rank {victim} of {ranks}", name.lower(), victim, ranks), delivered


def random_call(random, ranks):
    group = random.choice(("mpi", "mpi", "file", "file", "new") if ranks > 1 else ("file", "file", "new"))
    if group == "mpi":
        return random.choice(MPI_CALLS + ("MPI_Init_thread", "MPI_Finalize", "MPI_Finalized")), random.choice(
            ("fail", "fail", "stop", "kill", "segv", "slow", "exit"))
    if group == "file":
        return random.choice(FILE_CALLS), random.choice((*(str(error) for error in ERRORS), "kill", "stop", "slow"))
    return "new", random.choice(("fail", "fail", "kill"))


def is_switchyard(pid):
    """Not mpirun's child before it has become the program."""
    try:
        return os.readlink(f"/proc/{pid}/exe").endswith("/switchyard")
    except OSError:
        return False


class Expectation:
    """How a run may end after one fault."""

    def __init__(self, what, action, victim, ranks):
        self.what, self.action, self.victim, self.ranks = what, action, victim, ranks

    def check(self, finished):
        causes = [line for line in finished.err.splitlines() if CAUSE.search(line)]
        said = f"{self.what}\n{finished}"
        if self.action == "slow":
            harness.expect(finished.code == 0, said)
        elif self.action in ("kill", "segv", "exit"):
            # Others may see the connection break before the launcher ends them; at most one of them says so.
            harness.expect(finished.code not in (70, 6, 75) and len(causes) <= 1, said)
        elif self.action == "stop":
            if self.ranks <= 1:
                harness.expect(finished.stopped, said)  # nobody is there to miss it
            elif finished.stopped:
                harness.expect("finished all" in finished.out, said)  # all work was done, and the others had left
            elif finished.code != 0:
                harness.expect(finished.code == 6 and len(causes) == 1, said)
                harness.expect(re.search(rf"rank {self.victim}\b", causes[0]), f"rank {self.victim} is not named\n{said}")
        elif self.action in ("term", "usr1", "hup", "int", "usr2", "xcpu"):
            harness.expect(finished.code in (0, 75, 128 + getattr(signal, f"SIG{self.action.upper()}"),
                                             -getattr(signal, f"SIG{self.action.upper()}")), said)
        elif finished.code != 0:  # some failures do no harm: a flush that is done again, a file that need not go
            harness.expect(finished.code in (3, 4) and len(causes) == 1, said)
            harness.expect("defect" not in finished.err, said)


if __name__ == "__main__":
    faults = Faults()
    faults.main(faults.attempt)
