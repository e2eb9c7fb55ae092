"""Signals that ask for a stop, wherever the program is: a checkpoint and 75 at the first, the end at the second."""

import os
import signal

import h5py

import runs

ASKING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)
NEVER = 1000000


class Signals(runs.RunTest):
    train_samples = 900
    test_samples = 100

    def start(self, *arguments, ranks=0, **sections):
        config, run = self.write_config(**{"train_epochs": NEVER, "checkpoint_every_steps": NEVER, **sections})
        return runs.Running("train", config, *arguments, ranks=ranks), run

    def test_each_signal_asks_for_a_checkpoint(self):
        for number in ASKING:
            with self.subTest(signal=number):
                running, run = self.start()
                self.assertTrue(running.wait_until(lambda: (run / "metrics.jsonl").exists()))
                os.kill(running.process.pid, number)
                finished = self.expect(running.wait(), 75)
                self.assertEqual(finished.err.count("asked to write a checkpoint"), 1, finished)
                step = runs.summary(run)["steps"]
                self.assertEqual(runs.newest_checkpoint(run), runs.checkpoint_at(run, step))

    def test_one_of_several_ranks_is_asked(self):
        running, run = self.start(ranks=3)
        self.assertTrue(running.wait_until(lambda: (run / "metrics.jsonl").exists()))
        os.kill(running.rank_pids()[2], signal.SIGUSR2)
        self.expect(running.wait(), 75)

    def test_a_second_signal_ends_it_at_once(self):
        """While samples are made, which takes longer than anybody waits."""
        config, run = self.write_config(data_source="random", random_samples=200_000_000, model_gate="dense:experts",
                                        model_expert="dense:classes")
        text = config.read_text()
        config.write_text("".join(line + "\n" for line in text.splitlines()
                                  if not line.startswith(("mean", "standard_deviation", "dir", "validation"))))
        running = runs.Running("train", config, f"--run.dir={run}")
        self.assertTrue(running.wait_until(lambda: caught(running.process.pid)))
        os.kill(running.process.pid, signal.SIGTERM)
        self.assertTrue(running.wait_until(lambda: not pending(running.process.pid)))
        os.kill(running.process.pid, signal.SIGINT)
        finished = running.wait()
        self.assertEqual(finished.code, 128 + signal.SIGINT, finished)
        self.assertIn("got INT after a first signal", finished.err)

    def test_a_stop_in_an_evaluation(self):
        """Cut off, saved, and made after the resume: the run ends with the bits of one that nobody disturbed."""
        keys = {"train_batch_size": 100, "data_validation_samples": 400, "train_epochs": 2, "checkpoint_every_steps": 0,
                "run_wait_seconds": 60}
        straight = self.train(**keys)
        cut_off = 0
        for call in range(5, 35, 3):  # all-reduces of a step and of an evaluation's batch
            config, run = self.write_config(**keys)
            finished = runs.switchyard("train", config, ranks=2, environment=runs.fault("MPI_Allreduce", call, "usr1", 1))
            if finished.code == 0:  # the run was over before it looked
                break
            self.expect(finished, 75)
            with h5py.File(runs.newest_checkpoint(run)) as file:
                cut_off += int(file["state/evaluated"][()]) == 0
            self.resume(run, "--train.max_steps=0", ranks=3)
            self.assert_same_run(straight, run)
        self.assertGreaterEqual(cut_off, 2)


def caught(pid):
    """Whether the program blocks its signals yet."""
    return status(pid, "SigBlk") & 1 << (signal.SIGTERM - 1) != 0


def pending(pid):
    return status(pid, "ShdPnd") != 0


def status(pid, field):
    with open(f"/proc/{pid}/status") as file:
        return int(next(line.split()[1] for line in file if line.startswith(field)), 16)


if __name__ == "__main__":
    runs.main()
