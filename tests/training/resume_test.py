"""A run that was stopped, killed or moved to another rank count ends with the bits of the run that never stopped."""

import os
import random
import shutil
import signal

import runs
import token_runs

STEPS = 60  # 8 per epoch: 57 and 21 are in the middle of one


class AgainstStraightRun(runs.RunTest):
    """The run that never stops, for comparison."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.keys = dict(moe_top_k=2, train_epochs=10)  # cosine and warm-up: BASE_KEYS
        config, cls.straight = cls.write_config(train_max_steps=STEPS, **cls.keys)
        finished = runs.switchyard("train", config, ranks=2)
        if finished.code != 0:
            raise AssertionError(finished)

    def start(self, ranks, *arguments, environment=None, **sections):
        config, run = self.write_config(train_max_steps=STEPS, **{**self.keys, **sections})
        return runs.Running("train", config, *arguments, ranks=ranks, environment=environment), config, run

    def lines_of(self, run):
        file = run / "metrics.jsonl"
        return len(file.read_bytes().splitlines()) if file.exists() else 0


class Resume(AgainstStraightRun):
    def test_stopped_twice_and_moved_to_other_rank_counts(self):
        run = self.train(ranks=2, train_max_steps=21, **self.keys)
        self.resume(run, "--train.max_steps=43", ranks=3)
        self.assertEqual(runs.newest_checkpoint(run).name, "step-0000043.h5")
        self.resume(run, f"--train.max_steps={STEPS}", ranks=1)
        self.assert_same_run(self.straight, run)

    def test_resumed_without_a_launcher(self):
        run = self.train(ranks=4, train_max_steps=21, **self.keys)
        self.resume(run, f"--train.max_steps={STEPS}", ranks=0)
        self.assert_same_run(self.straight, run)

    def test_usr1_to_one_rank(self):
        for signalled in (0, 1):
            with self.subTest(rank=signalled):
                self.check_stop_by_signal(lambda running: running.rank_pids()[signalled], signal.SIGUSR1)

    def test_usr1_to_the_launcher(self):
        self.check_stop_by_signal(lambda running: running.process.pid, signal.SIGUSR1)

    def test_term_to_one_rank(self):
        self.check_stop_by_signal(lambda running: running.rank_pids()[1], signal.SIGTERM)

    def check_stop_by_signal(self, target, number):
        running, _, run = self.start(ranks=2)
        self.assertTrue(running.wait_until(lambda: self.lines_of(run) >= 5))
        os.kill(target(running), number)
        finished = self.expect(running.wait(), 75)
        self.assertIn("a signal asked for it", finished.out)
        self.assertEqual(runs.summary(run)["exit"]["code"], 75)
        self.assertLess(runs.summary(run)["steps"], STEPS)
        self.resume(run, ranks=3)
        self.assert_same_run(self.straight, run)

    def test_usr1_without_a_launcher(self):
        running, _, run = self.start(ranks=0)
        self.assertTrue(running.wait_until(lambda: self.lines_of(run) >= 5))
        os.kill(running.process.pid, signal.SIGUSR1)
        self.expect(running.wait(), 75)
        self.resume(run, ranks=2)
        self.assert_same_run(self.straight, run)

    def test_out_of_time(self):
        run = self.train(ranks=2, code=75, train_max_steps=STEPS, run_max_minutes=1e-5, **self.keys)
        self.assertLess(runs.summary(run)["steps"], STEPS)
        self.resume(run, "--run.max_minutes=0", ranks=2)
        self.assert_same_run(self.straight, run)

    def test_resume_auto_goes_on_after_a_stop(self):
        running, config, run = self.start(2, "--run.resume=auto")
        self.assertTrue(running.wait_until(lambda: self.lines_of(run) >= 5))
        os.kill(running.process.pid, signal.SIGUSR1)
        self.expect(running.wait(), 75)
        self.expect(runs.switchyard("train", config, "--run.resume=auto", ranks=2), 0)
        self.assert_same_run(self.straight, run)


class Killed(AgainstStraightRun):
    """All ranks killed at moments spread over the run, some of them while a checkpoint is written."""

    def check_killed(self, when, by_command, ranks=2, **sections):
        running, config, run = self.start(ranks, checkpoint_every_steps=2, **sections)
        if running.wait_until(lambda: when(run)):
            running.kill()
        if by_command == "resume":
            self.resume(run, ranks=3)
        else:
            finished = runs.switchyard("train", config, "--run.resume=auto", ranks=1)
            self.expect(finished, 0)
        self.assert_same_run(self.straight, run)
        leftovers = [file.name for file in (run / "checkpoints").iterdir() if file.suffix == ".tmp"]
        self.assertEqual(leftovers, [])

    def test_at_random_moments(self):
        moments = random.Random(20)
        for index in range(3):
            lines = moments.randrange(2, STEPS)
            with self.subTest(lines=lines):
                self.check_killed(lambda run: self.lines_of(run) >= lines, ("resume", "auto")[index % 2])

    def test_while_saving(self):
        for step in (10, 36):
            with self.subTest(step=step):
                name = f"step-{step:07}.h5.tmp"
                self.check_killed(
                    lambda run: (run / "checkpoints" / name).exists()
                    or (run / "checkpoints" / name.removesuffix(".tmp")).exists(),
                    "resume")

    def test_before_the_first_checkpoint(self):
        self.check_killed(lambda run: (run / "config.ini").exists(), "auto")


class KilledWithTokens(token_runs.TokenTest, Killed):
    """The same moments of a model of text."""


class Folder(runs.RunTest):
    def test_train_refuses_a_folder_with_a_run(self):
        config, run = self.write_config(train_max_steps=3)
        self.expect(runs.switchyard("train", config), 0)
        before = runs.metrics(run)
        for ranks in (0, 2, 3):
            with self.subTest(ranks=ranks):
                finished = runs.switchyard("train", config, ranks=ranks)
                self.expect_failure(finished, 3, "already holds a run", "switchyard resume", kind="DataError")
        self.assertEqual(runs.metrics(run), before)

    def test_resume_of_a_finished_run(self):
        run = self.train(train_max_steps=3)
        before = runs.checkpoint_bytes(runs.newest_checkpoint(run)), runs.metrics(run), runs.results(run)
        for ranks in (0, 2):
            finished = self.resume(run, ranks=ranks)
            self.assertIn("ended after step 3 of 3", finished.out)
        self.assertEqual(before, (runs.checkpoint_bytes(runs.newest_checkpoint(run)), runs.metrics(run),
                                  runs.results(run)))

    def test_a_second_writer_is_kept_out(self):
        config, run = self.write_config(train_epochs=1000)
        running = runs.Running("train", config, ranks=2)
        try:
            self.assertTrue(running.wait_until(lambda: (run / "metrics.jsonl").exists()))
            self.expect_failure(runs.switchyard("resume", run), 3, "is in use", kind="DataError")
        finally:
            running.kill()

    def test_resume_refuses_another_computation(self):
        run = self.train(train_max_steps=3)
        finished = runs.switchyard("resume", run, "--optim.learning_rate=1", ranks=2)
        self.expect_failure(finished, 2, "optim.learning_rate", kind="ConfigError")

    def test_resume_passes_over_a_damaged_checkpoint(self):
        keys = dict(train_max_steps=6, checkpoint_every_steps=2, checkpoint_keep_last=3)
        straight = self.train(**keys)
        run = self.train(**keys)
        newest = runs.newest_checkpoint(run)
        content = bytearray(newest.read_bytes())
        content[len(content) // 2] ^= 1
        newest.write_bytes(content)
        finished = self.resume(run, ranks=2)
        self.assertIn("passing over the checkpoint", finished.err)
        self.assert_same_run(straight, run)


class Uneven(runs.RunTest):
    def check_train_and_resume(self, ranks, start=None, **keys):
        straight = self.train(train_max_steps=20, **keys)
        run = self.train(ranks=ranks, train_max_steps=9, **keys)
        self.resume(run, "--train.max_steps=20", ranks=ranks)
        self.assert_same_run(straight, run)

    def test_seven_ranks_with_five_experts(self):
        for top_k in (0, 2):
            with self.subTest(top_k=top_k):
                self.check_train_and_resume(ranks=7, moe_top_k=top_k)

    def test_all_samples_routed_to_one_expert(self):
        keys = dict(moe_top_k=1, moe_importance=0)
        first = self.train(train_max_steps=1, checkpoint_every_steps=1, **keys)

        def favour_expert_4(file):
            bias = file["parameters/gate/dense_2/bias"]
            bias[...] = [0, 0, 0, 0, 1000]

        runs.edit_checkpoint(runs.newest_checkpoint(first), favour_expert_4)
        results = {}
        for ranks in (1, 2):
            run = self.copy_of(first)
            self.resume(run, "--train.max_steps=10", ranks=ranks)
            self.resume(run, "--train.max_steps=20", ranks=ranks)
            results[ranks] = run
        for found in runs.metrics(results[2])[1:]:
            if found["kind"] == "step":
                self.assertEqual(found["load"], [0, 0, 0, 0, found["samples"]])
                self.assertEqual(found["dead_experts"], [0, 1, 2, 3])
        self.assert_same_run(results[1], results[2])

    def copy_of(self, run):
        copy = self.new_path()
        shutil.copytree(run, copy)
        return copy


if __name__ == "__main__":
    runs.main()
