"""What happens before the first step and after the last one: nothing hangs, and who is missing is named, once."""

import os
import signal
import time

import runs


class Startup(runs.RunTest):
    train_samples = 500
    test_samples = 100

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.wait_seconds = cls.short_wait_seconds()
        cls.wait = f"--run.wait_seconds={cls.wait_seconds}"

    def check_missing(self, finished, rank, fragment):
        """One sentence, code 6."""
        self.expect_failure(finished, 6, "is missing", f"rank {rank} on ", fragment, "for the other ranks")
        self.assertEqual(finished.err.count("has waited"), 1, finished)

    def test_a_rank_fails_before_the_ranks_know_each_other(self):
        config, run = self.write_config(train_max_steps=2)
        for call in ("MPI_Comm_dup", "MPI_Allgatherv"):
            with self.subTest(call=call):
                finished = runs.switchyard("train", config, ranks=3, environment=runs.fault(call, 1, "fail", 1))
                self.expect_failure(finished, 4, call, "switchyard[1/3 ",
                                    kind="MpiError")
                self.assertFalse(run.exists(), finished)

    def test_a_rank_stops_while_the_program_starts_or_ends(self):
        config, _ = self.write_config(train_max_steps=2)
        for call, number in (("MPI_Init_thread", 1), ("MPI_Comm_dup", 1), ("MPI_Allgatherv", 1), ("MPI_Allreduce", 1),
                             ("MPI_Finalize", 1), ("MPI_Finalized", 1)):
            with self.subTest(call=call):
                finished = runs.switchyard("train", config, self.wait, f"--run.dir={self.new_path()}", ranks=3,
                                           environment=runs.fault(call, number, "stop", 1))
                self.check_missing(finished, 1, "does not run")

    def test_a_rank_that_never_begins(self):
        config, run = self.write_config(train_max_steps=2)
        command = ["train", config, self.wait, f"--run.dir={run}"]
        finished = runs.different_ranks(runs.Rank(*command), runs.Rank(600, binary="/bin/sleep"), runs.Rank(*command))
        self.expect_failure(finished, 6, "for MPI to start", "; rank 1 not seen on ")

    def test_a_rank_stops_in_a_step(self):
        config, _ = self.write_config(train_epochs=100)
        for ranks, victim in ((2, 0), (4, 2)):
            with self.subTest(ranks=ranks, victim=victim):
                run = self.new_path()
                finished = runs.switchyard("train", config, self.wait, f"--run.dir={run}", ranks=ranks,
                                           environment=runs.fault("MPI_Alltoallv", 9, "stop", victim))
                self.check_missing(finished, victim, "step ")
                if victim != 0:
                    end = runs.summary(run)["exit"]
                    self.assertEqual(end["code"], 6, end)
                    self.assertIn(f"rank {victim} on ", end["reason"])

    def test_a_configuration_that_never_comes(self):
        config, _ = self.write_config(train_max_steps=2, run_wait_seconds=self.wait_seconds)
        stuck = self.new_path("stuck.ini")
        os.mkfifo(stuck)
        writer = os.open(stuck, os.O_RDWR)  # so that opening it works, and reading waits
        self.addCleanup(os.close, writer)
        command = [str(word) for word in (runs.binary(), "train", config, ":", "-n", "1", runs.binary(), "train", stuck)]
        finished = runs.Running(*command[1:], ranks=1).wait()
        self.assertIn(finished.code, (2, 3, 6), finished)
        self.assertIn(str(stuck) if finished.code != 6 else "rank 1 on ", finished.err, finished)

    def test_an_owner_that_cannot_send_its_rows_of_a_checkpoint(self):
        config, _ = self.write_config(train_max_steps=2)
        finished = runs.switchyard("train", config, f"--run.wait_seconds={2 * runs.HANGS_SECONDS}", ranks=3,
                                   environment=runs.fault("MPI_Send", 1, "fail", 1))
        self.expect_failure(finished, 4, "MPI_Send failed on rank 1 of 3 on ", kind="MpiError")

    def test_a_suspended_job_goes_on(self):
        """Stopped as a whole for longer than the limit: no rank waited for another in that time."""
        config, run = self.write_config(train_epochs=40, checkpoint_every_steps=1000, run_wait_seconds=self.wait_seconds)
        running = runs.Running("train", config, ranks=2)
        self.assertTrue(running.wait_until(lambda: (run / "metrics.jsonl").exists()))
        pids = list(running.rank_pids().values())
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(self.wait_seconds + 1)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        self.expect(running.wait(), 0)


if __name__ == "__main__":
    runs.main()
