"""Event files as TensorBoard itself reads them, number for number against metrics.jsonl.

Runs with a Python that has tensorboard, h5py and numpy: see CMakeLists.txt here. tests/cli/event_files_test.py checks the
same without TensorBoard."""

import math

import numpy
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator as NewAccumulator
from tensorboard.util import tensor_util

import event_expectations
import event_files
import runs
import token_runs

ALL = {event_accumulator.SCALARS: 0, event_accumulator.HISTOGRAMS: 0, event_accumulator.IMAGES: 0, event_accumulator.TENSORS: 0}


def expected_series(run):
    """tag -> [(seconds, step, value)]"""
    series = {}
    for (step, _), (seconds, values) in event_expectations.of_run(run).items():
        for tag, value in values.items():
            series.setdefault(tag, []).append((seconds, step, value))
    return series


class ReadBack(runs.RunTest):
    def assert_reads(self, run):
        expected = expected_series(run)
        found = event_accumulator.EventAccumulator(str(run / "tensorboard"), size_guidance=ALL).Reload()
        tags = found.Tags()
        self.assertEqual(sorted([*tags["scalars"], *tags["histograms"], *tags["images"]]), sorted(expected))
        read = {"scalars": found.Scalars, "histograms": found.Histograms, "images": found.Images}
        for kind, series_of in read.items():
            self.assertTrue(tags[kind], kind)
            for tag in tags[kind]:
                series = series_of(tag)
                self.assertEqual([event.step for event in series], [step for _, step, _ in expected[tag]], tag)
                for event, (seconds, _, value) in zip(series, expected[tag]):
                    self.assertAlmostEqual(event.wall_time, seconds, delta=2e-6)
                    self.assert_same(kind, event, value, tag)
        return {tag: [step for _, step, _ in series] for tag, series in expected.items()}

    def assert_same(self, kind, event, value, tag):
        if kind == "scalars":
            if math.isnan(value):
                self.assertTrue(math.isnan(event.value), tag)
            else:
                self.assertEqual(event.value, numpy.float32(value), tag)
        elif kind == "histograms":
            histogram = event.histogram_value
            self.assertEqual(list(histogram.bucket), value, tag)
            self.assertEqual(histogram.num, sum(value), tag)
        else:
            pixels = event_files.png_indices(event.encoded_image_string)
            self.assertEqual(pixels.shape, (event.height, event.width))
            cell = event.height // value.shape[0]
            numpy.testing.assert_array_equal(pixels[::cell, ::cell], value, tag)

    def assert_shows(self, run):
        """What the dashboards get: the loader that turns old values into tensors."""
        expected = expected_series(run)
        found = NewAccumulator(str(run / "tensorboard"), tensor_size_guidance={"scalars": 0, "histograms": 0, "images": 0}).Reload()
        self.assertEqual(sorted(found.Tags()["tensors"]), sorted(expected))
        for tag, series in expected.items():
            events = found.Tensors(tag)
            self.assertEqual([event.step for event in events], [step for _, step, _ in series], tag)
            for event, (_, _, value) in zip(events, series):
                tensor = tensor_util.make_ndarray(event.tensor_proto)
                if isinstance(value, list):
                    bars = {round((left + right) / 2): count for left, right, count in tensor if right - left < 1.5}
                    for expert, bar in enumerate(value):
                        if expert in bars:
                            self.assertEqual(numpy.float32(bar), numpy.float32(bars[expert]), tag)
                    self.assertAlmostEqual(tensor[:, 2].sum(), sum(value), delta=1e-3 * sum(value))
                elif isinstance(value, float) and not math.isnan(value):
                    self.assertEqual(tensor, numpy.float32(value), tag)


class Mixture(ReadBack):
    def test_reads_every_number(self):
        for ranks in (0, 3):
            run = self.train(ranks, output_tensorboard="yes", train_max_steps=20)
            self.assert_reads(run)
            self.assert_shows(run)

    def test_shows_no_step_twice_when_a_run_goes_on(self):
        run = self.train(output_tensorboard="yes", train_max_steps=20, checkpoint_every_steps=8)
        runs.checkpoint_at(run, 20).unlink()
        self.resume(run, "--train.max_steps=24", "--checkpoint.every_steps=9")
        self.assertEqual(self.assert_reads(run)["train/loss"], list(range(1, 25)))
        self.assert_shows(run)
        self.resume(run, "--train.max_steps=26")
        self.assertEqual(self.assert_reads(run)["train/loss"], list(range(1, 27)))

    def test_pictures_open(self):
        from PIL import Image  # comes with tensorboard
        import io
        run = self.train(output_tensorboard="yes", train_max_steps=8)
        found = event_accumulator.EventAccumulator(str(run / "tensorboard"), size_guidance=ALL).Reload()
        picture = Image.open(io.BytesIO(found.Images("validation/class_by_expert")[0].encoded_image_string))
        picture.load()
        self.assertEqual(picture.size, (runs.EXPERTS * 24, runs.CLASSES * 24))


class Text(ReadBack):
    base_keys = token_runs.BASE_KEYS

    @classmethod
    def write_data(cls):
        chain = token_runs.MarkovChain(1)
        token_runs.write_texts(cls.data, [chain.text(seed, 300) for seed in range(80)])

    def test_reads_every_number_of_each_layer(self):
        run = self.train(output_tensorboard="yes", train_max_steps=20)
        self.assertIn("gate/h_u/blocks/01/mixture", self.assert_reads(run))
        self.assert_shows(run)


if __name__ == "__main__":
    runs.main()
