"""One rank fails in the middle of a step: all end at once, and the first cause is said once."""

import os
import signal

import runs

RANKS = (2, 3)
ENVIRONMENT = "SWITCHYARD_FAULT"


class Crash(runs.RunTest):
    train_samples = 900
    test_samples = 100

    def run_with(self, fault, ranks, **sections):
        config, run = self.write_config(train_epochs=100, checkpoint_every_steps=3, **sections)
        finished = runs.switchyard("train", config, ranks=ranks, environment={ENVIRONMENT: fault})
        return finished, run

    def check_resumes(self, run, ranks):
        self.resume(run, "--train.max_steps=6", ranks=ranks)
        self.expect(runs.switchyard("verify", runs.newest_checkpoint(run)), 0)

    def test_a_rank_throws_one_of_our_errors(self):
        for ranks in (1, *RANKS):
            with self.subTest(ranks=ranks):
                finished, run = self.run_with(f"{ranks - 1}:4:numeric", ranks)
                self.expect_failure(finished, 5, "a failure on purpose in step 4", kind="NumericError")
        self.check_resumes(run, ranks)

    def test_the_root_throws(self):
        finished, _ = self.run_with("0:4:numeric", 3)
        self.expect_failure(finished, 5, "a failure on purpose in step 4", kind="NumericError")

    def test_a_rank_throws_something_unexpected(self):
        for ranks in (1, *RANKS):
            with self.subTest(ranks=ranks):
                finished, _ = self.run_with(f"{ranks - 1}:4:unexpected", ranks)
                self.expect_failure(finished, 70, "a failure on purpose in step 4", "please report it")

    def test_a_rank_is_killed_in_a_step(self):
        for ranks in RANKS:
            with self.subTest(ranks=ranks):
                finished, run = self.run_with(f"{ranks - 1}:4:kill", ranks)
                self.expect_failure(finished, 137)
                self.assertNotIn("error: ", finished.err)
        self.check_resumes(run, ranks)

    def test_a_rank_with_copies_of_others_experts(self):
        wait_seconds = self.short_wait_seconds()
        for action, code in (("numeric", 5), ("kill", 137), ("stop", 6)):
            with self.subTest(action):
                finished, run = self.run_with(f"2:4:{action}", 4, moe_gradient_blocks=2, moe_replicas=2,
                                              run_wait_seconds=wait_seconds)
                self.expect(finished, code)
                self.resume(run, "--train.max_steps=6", "--moe.replicas=1", ranks=3)

    def test_a_rank_is_killed_from_outside(self):
        config, run = self.write_config(train_epochs=1000)
        running = runs.Running("train", config, ranks=3)
        self.assertTrue(running.wait_until(lambda: (run / "metrics.jsonl").exists()))
        os.kill(running.rank_pids()[1], signal.SIGKILL)
        self.expect(running.wait(), 137)

    def test_a_rank_stops_for_ever(self):
        wait_seconds = self.short_wait_seconds()
        for ranks in (2, 3):
            with self.subTest(ranks=ranks):
                finished, run = self.run_with("1:4:stop", ranks, run_wait_seconds=wait_seconds)
                self.expect(finished, 6, "has waited", "step 4", "phase train", "switchyard: rank ", "operation ")
        self.check_resumes(run, ranks)

    def test_a_fault_that_cannot_be_read(self):
        for fault in ("1:2", "x:2:kill", "1:2:explode", "1:2:kill:now", ""):
            with self.subTest(fault=fault):
                finished, _ = self.run_with(fault, 2 if fault == "1:2" else 0)
                self.expect_failure(finished, 2, f"{ENVIRONMENT} = '{fault}' is no fault", kind="ConfigError")


if __name__ == "__main__":
    runs.main()
