"""output.tensorboard: event files that say what metrics.jsonl says, number for number, read without TensorBoard.

tests/viewers/tensorboard_test.py asks TensorBoard itself."""

import errno
import math

import numpy

import event_expectations
import event_files
import runs
import token_runs

SHORT = {"output_tensorboard": "yes", "train_max_steps": 20}


class EventTest(runs.RunTest):
    def assert_says_what_metrics_say(self, run):
        expected = event_expectations.of_run(run)
        events = event_files.shown_events(run / "tensorboard")
        self.assertEqual(len(events), len(expected))
        for event, ((step, kind), (seconds, values)) in zip(events, expected.items()):
            self.assertEqual(event.step, step)
            self.assertAlmostEqual(event.wall_time, seconds, delta=2e-6)
            self.assertEqual(sorted(event.values), sorted(values), (step, kind))
            for tag, value in values.items():
                self.assert_same(event.values[tag], value, (step, tag))
        return events

    def assert_same(self, found, expected, where):
        if isinstance(found, event_files.Histogram):
            self.assertEqual(found.bars, expected, where)
            self.assertEqual(found.limits, [i + 0.5 for i in range(len(expected))], where)
            self.assertEqual((found.min, found.max), (-0.5, len(expected) - 0.5), where)
            self.assertEqual(found.count, sum(expected), where)
        elif isinstance(found, event_files.Image):
            cell = found.height // expected.shape[0]
            numpy.testing.assert_array_equal(found.pixels, numpy.kron(expected, numpy.ones((cell, cell))), str(where))
        elif math.isnan(expected):
            self.assertTrue(math.isnan(found), where)
        else:
            self.assertEqual(found, float(numpy.float32(expected)), where)


class Mixture(EventTest):
    def test_says_what_metrics_say_on_any_number_of_ranks(self):
        for ranks in (0, 3):
            run = self.train(ranks, **SHORT)
            events = self.assert_says_what_metrics_say(run)
            self.assertEqual(len(event_files.files(run / "tensorboard")), 1, "only the coordinator writes")
            tags = {tag for event in events for tag in event.values}
            for tag in ("train/loss", "train/importance_loss", "train/learning_rate", "gate/h_s", "gate/dead_experts", "experts/load",
                        "experts/importance", "time/experts", "time/samples_per_second", "validation/error", "validation/h_s",
                        "validation/load", "validation/class_by_expert", "validation/time/evaluation"):
                self.assertIn(tag, tags)
            self.assertNotIn("train/z_loss", tags, "of a regulariser that is not in use")

    def test_writes_nothing_by_default(self):
        run = self.train(train_max_steps=2)
        self.assertFalse((run / "tensorboard").exists())

    def test_moves_no_bit_of_the_run(self):
        self.assert_same_run(self.train(**SHORT), self.train(train_max_steps=20))

    def test_with_clusters_has_their_table(self):
        self.assert_says_what_metrics_say(self.train(
            **SHORT, data_source="clusters", data_dir="", data_mean=0, data_standard_deviation=1, data_validation_samples="auto",
            model_gate="dense:16 relu dense:experts", model_expert="dense:classes"))

    def test_forgets_later_steps_when_a_run_goes_on(self):
        run = self.train(**SHORT, checkpoint_every_steps=8, checkpoint_keep_last=3)
        before = self.assert_says_what_metrics_say(run)
        self.assertEqual(max(event.step for event in before), 20)
        runs.checkpoint_at(run, 20).unlink()
        self.resume(run, "--train.max_steps=24")
        after = self.assert_says_what_metrics_say(run)
        steps = [event.step for event in after if "train/loss" in event.values]
        self.assertEqual(steps, list(range(1, 25)))
        self.assertEqual(len(event_files.files(run / "tensorboard")), 2)
        starts = [event.step for event in event_files.all_events(run / "tensorboard") if event.starts]
        self.assertEqual(starts, [1, 17])
        with self.subTest("and where no checkpoint is left"):
            for file in (run / "checkpoints").iterdir():
                file.unlink()
            self.resume(run, "--train.max_steps=3")
            self.assertEqual([event.step for event in self.assert_says_what_metrics_say(run)], [1, 2, 3])

    def test_may_be_asked_for_when_a_run_goes_on(self):
        run = self.train(train_max_steps=4)
        self.resume(run, "--output.tensorboard=yes", "--train.max_steps=8")
        events = event_files.shown_events(run / "tensorboard")
        self.assertEqual([event.step for event in events if "train/loss" in event.values], [5, 6, 7, 8])

    def test_follows_metrics_every_steps(self):
        run = self.train(**SHORT, metrics_every_steps=6)
        events = self.assert_says_what_metrics_say(run)
        self.assertEqual([event.step for event in events if "train/loss" in event.values], [6, 12, 18])


class Failures(EventTest):
    def test_a_full_disk_ends_the_run_and_leaves_whole_events(self):
        for ranks in (0, 2):
            config, run = self.write_config(**SHORT)
            environment = runs.fault("write", 6, errno.ENOSPC, path=run / "tensorboard")
            self.expect_failure(runs.switchyard("train", config, ranks=ranks, environment=environment), 3,
                                "cannot write to", kind="DataError")
            self.assertEqual([event.step for event in event_files.shown_events(run / "tensorboard")], [1, 2, 3])

    def test_says_what_is_in_the_way(self):
        config, run = self.write_config(**SHORT)
        run.mkdir()
        (run / "tensorboard").write_text("a file")
        self.expect_failure(runs.switchyard("train", config), 3, f"'{run / 'tensorboard'}'", kind="DataError")


class Text(EventTest):
    base_keys = token_runs.BASE_KEYS

    @classmethod
    def write_data(cls):
        chain = token_runs.MarkovChain(1)
        token_runs.write_texts(cls.data, [chain.text(seed, 300) for seed in range(80)])

    def test_has_the_figures_of_each_layer(self):
        run = self.train(**SHORT)
        events = self.assert_says_what_metrics_say(run)
        tags = {tag for event in events for tag in event.values}
        self.assertIn("gate/h_u/blocks/01/mixture", tags)
        self.assertIn("validation/domain_by_expert/blocks/00/mixture", tags)


if __name__ == "__main__":
    runs.main()
