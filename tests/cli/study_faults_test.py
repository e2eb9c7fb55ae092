"""Studies that are killed, stopped or fail: nothing is repeated, nothing hangs, the results are the same."""

import json
import os
import pathlib
import signal
import time

import runs
import studies


def files_named(folder, name):
    """Below `folder`, parts of which may go while it looks: a finished run's checkpoints are removed."""
    return [pathlib.Path(place) / name for place, _, files in os.walk(folder) if name in files]


def pointers(folder):
    """The `latest` of every run."""
    return [file for file in files_named(folder, "latest") if file.parent.name == "checkpoints"]


class Interrupted(studies.StudyTest):
    """Longer runs with checkpoints between, so that they are met in the middle."""

    LONGER = studies.TWO_ARMS.replace("train.batch_size = 32", "train.batch_size = 8\ncheckpoint.every_steps = 20")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._expected = None

    def expected(self):
        if Interrupted._expected is None:
            Interrupted._expected = self.straight(self.LONGER)
        return Interrupted._expected

    def wait_for(self, running, folder, finished, begun=True):
        """Until so many runs are finished and another one is in its middle."""
        def in_the_middle():
            if len(files_named(folder, "summary.json")) < finished:
                return False
            return not begun or any(not (file.parent.parent / "summary.json").exists()
                                    for file in pointers(folder))
        self.assertTrue(running.wait_until(in_the_middle), "it ended before it could be interrupted")

    def test_killed_and_started_again(self):
        for ranks, finished in ((0, 1), (2, 4)):
            with self.subTest(ranks=ranks, finished=finished):
                expected = self.expected()
                file, folder = self.write_study(self.LONGER)
                running = runs.Running("study", file, ranks=ranks)
                self.wait_for(running, folder, finished)
                running.kill()
                before = studies.summaries(folder)
                self.assertGreaterEqual(len(before), finished)
                self.study(file, ranks=ranks)
                after = studies.summaries(folder)
                self.assertEqual(len(after), 8)
                self.assertEqual({path: after[path] for path in before}, before)
                self.assert_same_results(expected, folder)
                self.study(file, ranks=2)  # nothing is left to do
                self.assertEqual(studies.summaries(folder), after)

    def test_stopped_by_a_signal_to_one_rank(self):
        for ranks, number in ((0, signal.SIGUSR1), (2, signal.SIGTERM)):
            with self.subTest(ranks=ranks):
                self.check_stop(ranks, number)

    def check_stop(self, ranks, number):
        expected = self.expected()
        file, folder = self.write_study(self.LONGER)
        running = runs.Running("study", file, ranks=ranks)
        self.wait_for(running, folder, 1)
        os.kill(running.rank_pids()[max(ranks - 1, 0)], number)
        finished = self.expect(running.wait(), 75)
        self.assertIn("go on with the same command", finished.out)
        self.assertLess(len(studies.summaries(folder)), 8)
        self.assertFalse((folder / "stop").exists())
        self.assertTrue((folder / "study.json").exists())
        self.study(file, ranks=2)
        self.assert_same_results(expected, folder)

    def test_a_signal_to_one_rank_reaches_the_other_groups(self):
        text = studies.TWO_ARMS.split("[arm.sparse]")[0]
        file, folder = self.write_study(text.replace("train.batch_size = 32", "train.epochs = 100000"))
        running = runs.Running("study", file, ranks=2)
        self.assertTrue(running.wait_until(lambda: len(pointers(folder)) == 2))
        os.kill(running.rank_pids()[1], signal.SIGUSR1)
        self.expect(running.wait(), 75)
        codes = [json.loads(file.read_text())["exit"]["code"] for file in folder.rglob("summary.json")]
        self.assertEqual(codes, [75, 75])

    def test_what_was_selected_is_said_while_the_results_are_made(self):
        file, folder = self.write_study(studies.TWO_ARMS.replace("train.batch_size = 32", "train.epochs = 100000"))
        running = runs.Running("study", file)
        try:
            self.assertTrue(running.wait_until(lambda: any("runs" in file.parts for file in pointers(folder))))
            arm = json.loads((folder / "study.json").read_text())["arms"][1]
            self.assertEqual([combination["n"] for combination in arm["selection"]], [2, 2])
            self.assertIn(arm["values"], [combination["values"] for combination in arm["selection"]])
        finally:
            running.kill()

    def test_a_second_writer_is_kept_out(self):
        file, folder = self.write_study(self.LONGER)
        running = runs.Running("study", file)
        try:
            self.wait_for(running, folder, 0, begun=False)
            self.assertTrue(running.wait_until(lambda: (folder / "lock").exists()))
            os.kill(running.process.pid, signal.SIGSTOP)  # so that it cannot end before the second one gives up
            self.expect_failure(runs.switchyard("study", file, ranks=2), 3, "is in use", kind="DataError")
        finally:
            running.kill()


class Failing(studies.StudyTest):
    def test_a_group_that_fails_ends_a_group_that_waits(self):
        text = studies.TWO_ARMS.split("[arm.sparse]")[0].replace("seeds = 2", "seeds = 1")
        more = f"[arm.broken]\nconfig = base.ini\n{studies.UNREADABLE}"
        file, folder = self.write_study(text, more)
        for ranks, per_run in ((2, 1), (4, 2)):
            with self.subTest(ranks=ranks):
                finished = runs.switchyard("study", file, f"--study.ranks_per_run={per_run}", ranks=ranks)
                self.expect_failure(finished, 3, "/nowhere", kind="DataError")

    def test_a_rank_that_stops_is_missed_by_its_group_alone(self):
        text = studies.TWO_ARMS.split("[arm.sparse]")[0].replace("train.batch_size = 32", "train.epochs = 100000")
        file, _ = self.write_study(text)
        finished = runs.switchyard("study", file, "--study.ranks_per_run=2",
                                   f"--run.wait_seconds={self.short_wait_seconds()}", ranks=4,
                                   environment=runs.fault("MPI_Alltoallv", 9, "stop", 3))
        self.expect_failure(finished, 6, "switchyard: rank 3 on ", " is missing (rank 3: it does not run", "rank 2 on ")

    def test_a_group_waits_longer_than_an_operation_may(self):
        text = studies.TWO_ARMS.split("[arm.sparse]")[0].replace("seeds = 2", "seeds = 1")
        more = "run.wait_seconds = 1\n[arm.long]\nconfig = base.ini\nrun.wait_seconds = 1\ntrain.batch_size = 2\n" \
               "train.epochs = 240\n"
        file, folder = self.write_study(text, more)
        begin = time.monotonic()
        self.study(file, ranks=2)
        self.assertGreater(time.monotonic() - begin, 2, "the long arm is too short for this test")
        self.assertEqual(len(studies.summaries(folder)), 2)


if __name__ == "__main__":
    runs.main()
