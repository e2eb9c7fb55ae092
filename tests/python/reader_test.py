"""switchyard_reader: metrics as tables, checkpoints as arrays, files that are wrong, and the page docs/python.md."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest.mock

import h5py
import numpy
import pandas

import runs
import switchyard_reader
from switchyard_reader import ReadError, config

SOURCE = pathlib.Path(__file__).resolve().parents[2]


def raw(run, kind):
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


class ReaderTest(runs.RunTest):
    train_samples = 656

    def assert_refused(self, call, *fragments):
        """By a sentence that says what to try."""
        with self.assertRaises(ReadError) as caught:
            call()
        for fragment in (*fragments, "; "):
            self.assertIn(str(fragment), str(caught.exception))

    def copy(self):
        """A run that a test may damage."""
        return pathlib.Path(shutil.copytree(self.run_folder, self.new_path("copy")))


class OfMixture(ReaderTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        _, cls.run_folder = cls.train_for_all(train_epochs=3, optim_learning_rate=0.01)
        cls.opened = switchyard_reader.open(cls.run_folder)

    def test_steps_are_the_lines(self):
        frame, lines = self.opened.steps(), raw(self.run_folder, "step")
        self.assertEqual(len(frame), len(lines))
        self.assertGreater(len(lines), 3)
        for row, line in zip(frame.to_dict("records"), lines):
            for name in ("step", "epoch", "loss", "importance_loss", "h_s", "gradient_norm"):
                self.assertEqual(row[name], line[name])
            self.assertEqual({name: row[f"time.{name}"] for name in line["time"]}, line["time"])
            for name in ("importance", "load"):
                self.assertEqual([row[f"{name}_{e}"] for e in range(runs.EXPERTS)], line[name])
            numpy.testing.assert_array_equal(row["dead_experts"], line["dead_experts"])
        one = lines[0]
        lists = {"importance", "load"}
        self.assertEqual(len(frame.columns), len(one) - 1 - len(lists) - 1 + len(one["time"]) + len(lists) * runs.EXPERTS)
        self.assertEqual(frame["step"].dtype.kind, "i")

    def test_evaluations_are_the_lines(self):
        frame, lines = self.opened.evaluations(), raw(self.run_folder, "evaluation")
        self.assertEqual(list(frame["error"]), [line["error"] for line in lines])
        self.assertEqual(list(frame["split"]), ["validation"] * 3)
        for row, line in zip(frame.to_dict("records"), lines):
            numpy.testing.assert_array_equal(row["class_by_expert"], line["class_by_expert"])
            self.assertEqual([row[f"expert_share_{e}"] for e in range(runs.EXPERTS)], line["expert_share"])
        self.assertEqual(len(self.opened.evaluations(split="validation")), 3)
        self.assertEqual(len(self.opened.evaluations(split="test")), 0)
        self.assert_refused(lambda: self.opened.evaluations(split="all"), "'all'", "train, validation or test")

    def test_a_torn_last_line_is_left_out(self):
        folder = self.copy()
        file, count = folder / "metrics.jsonl", len(self.opened.steps())
        whole = file.read_bytes()
        for torn in (b'{"kind":"step","st', b'{"kind":"step"}', b"\xff\n"):
            file.write_bytes(whole + torn)
            self.assertEqual(len(switchyard_reader.open(folder).steps()), count)
        file.write_bytes(whole + b'{"kind":"step","st\n' + whole)
        line = len(whole.splitlines()) + 1
        self.assert_refused(switchyard_reader.open(folder).steps, f"line {line} of {file}", "switchyard resume")

    def test_what_is_not_finite(self):
        folder = self.copy()
        file = folder / "metrics.jsonl"
        file.write_text(re.sub(r'"loss":[^,]+', '"loss":null', file.read_text()))
        self.assertTrue(numpy.isnan(switchyard_reader.open(folder).steps()["loss"].to_numpy()).all())

    def test_without_pandas(self):
        with unittest.mock.patch.dict(sys.modules, pandas=None):
            self.assert_refused(self.opened.steps, "run.steps() is a pandas.DataFrame", "pip install pandas")
            self.assertEqual(self.opened.records("step"), raw(self.run_folder, "step"))

    def test_the_configuration(self):
        found = self.opened.config
        for name, value in (("moe.experts", 5), ("moe.importance", 0.2), ("data.mean", (0.3,)), ("moe.scores", "softmax"),
                            ("data.validation_balanced", False), ("data.dir", str(self.data)), ("optim.learning_rate", 0.01),
                            ("model.gate", runs.BASE_KEYS["model.gate"]), ("init.from", "")):
            self.assertEqual((found[name], type(found[name])), (value, type(value)))
        self.assertEqual(self.opened.config, dict(self.opened.checkpoint().config))
        with self.assertRaisesRegex(KeyError, "did you mean moe.top_k"):
            found["moe.topk"]
        folder = self.copy()
        (folder / "config.ini").write_text("[moe]\nexperts\n")
        self.assert_refused(lambda: switchyard_reader.open(folder).config, "line 2 of", "config.ini", "'experts'")

    def test_texts_stay_texts(self):
        kinds = {}
        page = runs.switchyard("help", "configuration").out
        for section, rows in re.findall(r"(?ms)^## \[(\w+)\].*?\n\|---.*?\n(.*?)(?=\n\n|\Z)", page):
            kinds.update({f"{section}.{key}": values for key, values in re.findall(r"(?m)^\| `(\w+)` \|[^|]*\| ([^|]*) \|", rows)})
        self.assertGreater(len(kinds), 100)
        self.assertEqual({key for key, values in kinds.items() if values.startswith(("text", "words with"))}, config.TEXTS)
        self.assertEqual({key for key, values in kinds.items() if "several" in values}, config.LISTS)

    def test_the_summary(self):
        self.assertEqual(self.opened.summary, runs.summary(self.run_folder))
        folder = self.copy()
        (folder / "summary.json").write_text("{")
        self.assert_refused(lambda: switchyard_reader.open(folder).summary, "summary.json is no JSON")
        (folder / "summary.json").unlink()
        self.assertIsNone(switchyard_reader.open(folder).summary)

    def test_checkpoints(self):
        files = sorted((self.run_folder / "checkpoints").glob("step-*.h5"))
        self.assertEqual(self.opened.checkpoints, [int(file.stem[5:]) for file in files])
        latest = self.opened.checkpoint("latest")
        self.assertEqual((latest.step, latest.path), (self.opened.checkpoints[-1], runs.newest_checkpoint(self.run_folder)))
        self.assertEqual(self.opened.checkpoint("best").step, self.opened.summary["best"]["step"])
        self.assertEqual(self.opened.checkpoint(self.opened.checkpoints[0]).path, files[0])
        self.assertEqual(switchyard_reader.open(files[0]).step, self.opened.checkpoints[0])
        self.assert_refused(lambda: self.opened.checkpoint(77), "no checkpoint 77", ", ".join(map(str, self.opened.checkpoints)))
        folder = self.copy()
        (folder / "checkpoints/best").unlink()
        self.assert_refused(lambda: switchyard_reader.open(folder).model(), "names no best checkpoint")

    def test_arrays_are_those_of_the_file(self):
        found, seen = self.opened.checkpoint(), set()
        with h5py.File(found.path) as file:
            for group, arrays in (("parameters", found.parameters), ("buffers", found.buffers), ("optimizer", found.optimiser),
                                  ("statistics", found.statistics)):
                for name, values in arrays.items():
                    numpy.testing.assert_array_equal(values, file[f"{group}/{name}"][()])
                    seen.add(f"{group}/{name}")
            stored = []
            file.visititems(lambda name, item: stored.append(name) if isinstance(item, h5py.Dataset) else None)
            self.assertEqual(found.state["epoch"], file["state/epoch"][()])
            expert = file["parameters/experts/0003/dense_1/weight"][()]
        groups = ("parameters/", "buffers/", "optimizer/", "statistics/")
        self.assertEqual(seen, {name for name in stored if name.startswith(groups)})
        numpy.testing.assert_array_equal(found.experts[3]["dense_1/weight"], expert)
        self.assertEqual(len(found.experts), runs.EXPERTS)
        self.assertEqual(set(found.gate), {name[5:] for name in found.parameters if name.startswith("gate/")})
        self.assertIn("conv_1/weight", found.gate)
        with self.assertRaises(IndexError):
            found.experts[runs.EXPERTS]
        with self.assertRaisesRegex(KeyError, "did you mean gate/conv_1/weight"):
            found.parameters["gate/conv1/weight"]

    def test_damaged_checkpoints(self):
        file = runs.newest_checkpoint(self.copy())
        whole = file.read_bytes()
        with h5py.File(file) as opened:
            offset = opened["parameters/gate/dense_1/weight"].id.get_offset()
        for changed, *fragments in ((whole[:-1], f"it has {len(whole) - 1} bytes"), (b"", "is not a checkpoint"),
                                    (b"no" + whole[2:], "is not a checkpoint"), (whole[:20] + b"x" + whole[21:], "first block")):
            file.write_bytes(changed)
            self.assert_refused(lambda: switchyard_reader.open(file), file, *fragments)
        file.write_bytes(whole)
        runs.edit_checkpoint(file, lambda opened: opened.pop("config"))
        self.assert_refused(lambda: switchyard_reader.open(file), file, "no configuration")
        file.write_bytes(whole[:offset] + bytes([whole[offset] ^ 1]) + whole[offset + 1:])
        damaged = switchyard_reader.open(file)
        self.assert_refused(lambda: damaged.parameters["gate/dense_1/weight"], "/parameters/gate/dense_1/weight", "damaged")

    def test_what_is_no_run(self):
        self.assert_refused(lambda: switchyard_reader.open(self.folder / "nowhere"), "nowhere", "does not exist")
        self.assert_refused(lambda: switchyard_reader.open(self.data), "neither a config.ini nor checkpoints")
        self.assert_refused(lambda: switchyard_reader.open(self.run_folder / "config.ini"), "config.ini is not a checkpoint")
        self.assert_refused(lambda: switchyard_reader.runs(self.folder / "nowhere"), "no folder")

    def test_lists_of_runs(self):
        folder = self.new_path("runs")
        shutil.copytree(self.run_folder, folder / "a/finished")
        for path in ("a/finished/deeper", "b"):  # a run holds no others
            (folder / path).mkdir()
            (folder / path / "config.ini").write_text("")
        for name, content in (("failed", {"message": "the loss is nan"}), ("skipped", {"reason": "of a no values were selected"})):
            (folder / name).mkdir()
            (folder / name / f"{name}.json").write_text(json.dumps(content))
        found = switchyard_reader.runs(folder)
        self.assertEqual([(run["path"].name, run["state"]) for run in found],
                         [("finished", "finished"), ("b", "unfinished"), ("failed", "failed"), ("skipped", "skipped")])
        self.assertEqual(found[0]["test_error"], self.opened.summary["test"]["error"])
        self.assertEqual(found[0]["best_step"], self.opened.summary["best"]["step"])
        self.assertEqual([run["reason"] for run in found[2:]], ["the loss is nan", "of a no values were selected"])
        self.assertEqual(len(pandas.DataFrame(found)), 4)

    def test_predictions_are_the_same_from_both_kinds_of_files(self):
        files = [self.new_path(f"said.{suffix}") for suffix in ("h5", "csv")]
        for file in files:
            self.expect(runs.switchyard("predict", self.run_folder, f"--out={file}"), 0)
        first, second = map(switchyard_reader.read_predictions, files)
        self.assertEqual(set(first), {"ids", "labels", "prediction", "probabilities", "experts", "gate_weights"})
        self.assertEqual(set(first), set(second))
        for name, values in first.items():
            numpy.testing.assert_array_equal(values, second[name])
            self.assertEqual(values.dtype, second[name].dtype)
        table = self.new_path("other.csv")
        table.write_text("x,y\n1,2\n")
        self.assert_refused(lambda: switchyard_reader.read_predictions(table), "no table of predictions")
        self.assert_refused(lambda: switchyard_reader.read_predictions(self.run_folder / "config.ini"), ".h5 and .csv")
        self.assert_refused(lambda: switchyard_reader.read_predictions(runs.newest_checkpoint(self.run_folder)), "predict` wrote")
        samples = self.new_path("samples.h5")
        self.expect(runs.switchyard("samples", self.run_folder / "config.ini", f"--out={samples}"), 0)
        self.assert_refused(lambda: switchyard_reader.read_predictions(samples), "holds no predictions")

    def test_one_version(self):
        self.assertIn(f"switchyard {switchyard_reader.__version__} ", runs.switchyard("--version").out)


class OfText(ReaderTest):
    def test_opens_but_does_not_predict(self):
        texts = self.new_path("texts")
        texts.mkdir()
        for name in "ab":
            (texts / f"{name}.txt").write_text("".join(f"{name}{number} is {number * 7 % 10}\n" for number in range(8000)))
        run = self.new_path()
        words = {"data.source": "text", "data.dir": texts, "data.window": 16, "model.family": "tokens",
                 "model.gate": "dense:experts", "model.expert": "dense:4 relu dense:width", "tokens.width": 8, "moe.experts": 3,
                 "train.max_steps": 2, "train.evaluate_every_steps": 1, "run.dir": run, "run.threads": 1}
        empty = self.new_path("empty.ini")
        empty.write_text("")
        self.expect(runs.switchyard("train", empty, *(f"--{key}={value}" for key, value in words.items())), 0)
        found = switchyard_reader.open(run)
        for frame, kind in ((found.steps(), "step"), (found.evaluations(), "evaluation")):
            for row, line in zip(frame.to_dict("records"), raw(run, kind)):
                for layer in line["layers"]:
                    self.assertEqual(row[f"{layer['name']}.h_s"], layer["h_s"])
                    self.assertEqual([row[f"{layer['name']}.load_{e}"] for e in range(3)], layer["load"])
                self.assertEqual(len(line["layers"]), 2)
        self.assertEqual(list(found.evaluations()["domains"][0]), ["a", "b"])
        latest = found.checkpoint()
        self.assertEqual(latest.parameters.under("blocks/01/mixture/experts/0002")["dense_1/weight"].shape, (8, 4))
        self.assert_refused(lambda: latest.experts, "blocks/00/mixture/experts")
        self.assert_refused(latest.model, "model.family = tokens", "switchyard sample")


class Page(runs.RunTest):
    """docs/python.md, from top to bottom, behind the first commands of docs/own_data.md."""

    def test_its_commands_run(self):
        own, page = ((SOURCE / "docs" / name).read_text(encoding="utf-8") for name in ("own_data.md", "python.md"))
        make = "".join(re.findall(r"(?ms)^```python\n(.*?)^```", own))
        parts = re.findall(r"(?ms)^```python\n(.*?)^```|^    (switchyard [^\n]*)$", page)
        self.assertEqual(len(parts), 5)
        program = "".join(code or f"subprocess.run({command.split()!r}, check=True)\n" for code, command in parts)
        folder = self.new_path("bin")
        folder.mkdir()
        (folder / "switchyard").symlink_to(runs.binary())
        environment = {**os.environ, "PYTHONPATH": str(SOURCE / "python"), "PATH": f"{folder}:{os.environ['PATH']}"}

        def python(code):
            done = subprocess.run([sys.executable, "-B", "-c", "import subprocess\n" + code], env=environment, cwd=self.folder,
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout

        python(make)
        lines = re.findall(r"(?m)^    switchyard (.*)$", own)
        for line in lines[:[line.split()[0] for line in lines].index("train") + 1]:
            self.expect(runs.switchyard(*line.split(), cwd=self.folder), 0)
        shown = python(program + """
assert run.config["moe.experts"] == 8
assert (written["prediction"] == said["prediction"]).all()
print((said["prediction"] != labels).mean())
""")
        self.assertLess(float(shown.splitlines()[-1]), 0.15)


if __name__ == "__main__":
    runs.main()
