"""A model of text from a user's side: what its run, eval, report, plan, bench and study say, with its unit and by layer."""

import json
import os
import pathlib
import random
import re
import shutil

import h5py

import runs

SOURCE = pathlib.Path(__file__).resolve().parents[2]
WINDOW, WIDTH, HIDDEN, EXPERTS, BLOCKS, TOP_K = 32, 8, 16, 4, 2, 2
CONFIG = f"""\
[run]
threads = 1
[data]
source = text
dir = {{texts}}
window = {WINDOW}
[model]
family = tokens
gate = dense:experts
expert = dense:{HIDDEN} relu dense:width
[tokens]
width = {WIDTH}
blocks = {BLOCKS}
[moe]
experts = {EXPERTS}
top_k = {TOP_K}
importance = 0.1
[train]
batch_size = 128
epochs = 2
log_every_steps = 10
"""
LAYERS = [f"blocks/{block:02}/mixture" for block in range(BLOCKS)]


def write_text(file, words, seed):
    random.seed(seed)
    file.write_text("".join(random.choice(words) + random.choice("   \n") for _ in range(60_000)))


class OfText(runs.RunTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.texts = cls.new_path("texts")
        cls.texts.mkdir()
        write_text(cls.texts / "code.txt", ["if", "else", "(x)", "{", "};"], 1)
        write_text(cls.texts / "letters.txt", ["dear", "madam", "yours", "truly,"], 2)
        cls.config, cls.run_folder = cls.new_path("config.ini"), cls.new_path()
        cls.config.write_text(CONFIG.format(texts=cls.texts))
        cls.trained = runs.switchyard("train", cls.config, f"--run.dir={cls.run_folder}")
        if cls.trained.code != 0:
            raise AssertionError(cls.trained)

    def say(self, *arguments, ranks=0):
        return self.expect(runs.switchyard(*arguments, ranks=ranks), 0).out

    def evaluate(self, *arguments, ranks=0):
        return json.loads(self.say("eval", *arguments, ranks=ranks))

    def page(self, folder):
        file = self.new_path("page.html")
        self.say("report", folder, f"--out={file}")
        return file.read_text()


class Runs(OfText):
    def test_the_rate_is_in_bytes(self):
        lines = re.findall(r"(?m)^epoch .* left  .*$", self.trained.out)
        self.assertGreater(len(lines), 3)
        for line in lines:
            self.assertRegex(line, r" [\d,.]+ bytes/s  .* left  \d+% of the matrix limit$")
        self.assertNotIn("samples/s", self.trained.out)
        share = runs.summary(self.run_folder)["train"]["matrix_limit_share"]
        self.assertGreater(share, 0)
        self.assertIn(f" bytes/s in training, {share:.2f} of the matrix limit (", self.trained.out)

    def test_a_sample_of_metrics_is_a_byte(self):
        first = runs.metrics(self.run_folder)[0]
        self.assertEqual(first["samples"], 128 * WINDOW)
        for layer in first["layers"]:
            self.assertEqual(sum(layer["load"]), TOP_K * 128 * WINDOW)

    def test_the_start_table_says_what_sees_what_and_in_how_many_parts(self):
        said = self.say("train", self.config, f"--run.dir={self.new_path()}", "--train.max_steps=1", "--train.parts=4",
                        "--moe.top_k=0")
        self.assertIn("every expert sees every token", said)
        self.assertIn("batch 128 in 8 shards, in 4 parts", said)

    def test_eval_prints_the_numbers_of_the_run(self):
        expected = runs.summary(self.run_folder)
        for ranks in (0, 2):
            with self.subTest(ranks=ranks):
                found = self.evaluate(self.run_folder, ranks=ranks)
                self.assertEqual({key: found[key] for key in expected["test"]}, expected["test"])
                self.assertEqual([layer["name"] for layer in found["layers"]], LAYERS)
                tokens = sum(map(sum, found["layers"][0]["domain_by_expert"]))
                self.assertEqual(found["samples"], tokens)

    def test_the_help_of_eval_and_the_page_of_metrics_name_every_figure(self):
        test = runs.summary(self.run_folder)["test"]
        figures = test.keys() | test["layers"][0].keys()
        self.assertEqual(figures - set(re.findall(r"\w+", self.say("eval", "--help"))), set())
        for record in runs.metrics(self.run_folder):
            figures |= record.keys() | record["layers"][0].keys()
        page = (SOURCE / "docs/metrics.md").read_text(encoding="utf-8")
        self.assertEqual(figures - {"kind", "split"} - set(re.findall(r"`(\w+)`", page)), set())

    def test_the_page_of_checkpoints_names_every_array(self):
        page = (SOURCE / "docs/checkpoints.md").read_text(encoding="utf-8")
        section = page[page.index("### Of a model of text"):]
        found = set()
        with h5py.File(runs.newest_checkpoint(self.run_folder)) as file:
            for group in ("parameters", "statistics"):
                file[group].visititems(lambda path, item: found.add(f"/{group}/{path}") if hasattr(item, "shape") else None)
        found = {re.sub(r"blocks/\d\d", "blocks/00", re.sub(r"experts/\d{4}", "experts/0003", path)) for path in found}
        found = {path for path in found if re.search(r"(norm|embedding|dense_1)/weight$|/importance$", path)}
        self.assertEqual(found, set(re.findall(r"`(/(?:parameters|statistics)/[^`]+)`", section)))

    def test_a_domain_may_have_any_name(self):
        texts, run = self.new_path("texts"), self.new_path()
        shutil.copytree(self.texts, texts)
        name = os.fsencode(texts / "letters.txt")
        os.rename(name, name.replace(b"letters", b"\xff\x1b[1m<b>"))
        said = self.say("train", self.config, f"--data.dir={texts}", f"--run.dir={run}", "--train.max_steps=2")
        self.assertNotIn("\x1b", said)
        shown = ["code", "\ufffd\x1b[1m<b>"]
        self.assertEqual(runs.summary(run)["test"]["domains"], shown)
        self.assertEqual(self.evaluate(run)["domains"], shown)
        page = self.page(run)
        self.assertIn("\ufffd\ufffd[1m&lt;b&gt;</text>", page)
        self.assertNotIn("<b>", page)


class Report(OfText):
    def test_the_numbers_are_those_of_the_summary(self):
        page, test = self.page(self.run_folder), runs.summary(self.run_folder)["test"]
        shown = {name: float(value) for name, value in re.findall(r'<data id="([^"]+)" value="([^"]+)"', page)}
        for name in ("loss", "perplexity", "bits_per_byte", "error"):
            self.assertEqual(shown[f"test.{name}"], test[name])
        for layer in test["layers"]:
            for name in ("h_s", "h_u", "dispatch_entropy", "largest_share", "active_experts"):
                self.assertEqual(shown[f"test.{layer['name']}.{name}"], layer[name])

    def test_the_counts_are_those_of_each_layer(self):
        page, test = self.page(self.run_folder), runs.summary(self.run_folder)["test"]
        found = [int(count) for count in re.findall(r"<title>domain \w+, expert with the largest weight \d+: (\d+),", page)]
        self.assertEqual(found, [count for layer in test["layers"] for row in layer["domain_by_expert"] for count in row])
        self.assertEqual(re.findall(r"<h2>Experts of ([^<]+)</h2>", page), LAYERS)


class Plan(OfText):
    def rows_of(self, *arguments):
        said = self.say("plan", self.config, "--ranks=3", *arguments)
        head, *rows = said[said.index("  rank "):].splitlines()[:4]
        self.assertEqual(head.split()[:3], ["rank", "experts", "tokens"])
        return said, [[float(word) for word in re.findall(r"[\d.]+", row)] for row in rows]

    def test_parts_take_less_memory_and_send_as_much(self):
        large = ["--train.batch_size=2048", "--tokens.width=256"]
        said, whole = self.rows_of(*large)
        self.assertIn("gradients of each gate's matrices", said)
        self.assertIn("batch 2048 in 8 shards\n", said)
        said, parts = self.rows_of(*large, "--train.parts=4")
        self.assertIn("batch 2048 in 8 shards, in 4 parts\n", said)
        self.assertEqual(sum(row[2] for row in whole), 2048 * WINDOW)
        for one, four in zip(whole, parts):
            self.assertEqual(one[:4], four[:4])
            self.assertAlmostEqual(one[4], 4 * four[4], delta=0.02 * one[4])
            self.assertEqual(one[5:], four[5:])


class Bench(OfText):
    def test_the_multiply_adds_of_a_byte_are_counted(self):
        said = self.say("bench", "step", self.config, "--train.max_steps=2")
        self.assertRegex(said, r"(?m)^\d+ bytes/s in float32")
        gate = WIDTH * EXPERTS
        expert = 2 * WIDTH * HIDDEN
        by_hand = 3 * 256 * WIDTH + BLOCKS * 3 * (gate + TOP_K * expert)  # forward, and the gradients of both factors
        calculated = re.search(r"; (\S+) MFLOP a byte", said)[1]
        self.assertEqual(round(float(calculated) * 1e6 / 2), by_hand)
        self.assertIn(f"\ncounted: {calculated} MFLOP a byte, and ", said)


class Study(OfText):
    STUDY = """\
[study]
dir = {dir}
seeds = 2
metrics = test.loss test.bits_per_byte test.layers.1.h_u
select_by = validation.loss
baseline = plain
[all]
train.epochs = 1
[arm.plain]
config = {config}
[arm.top1]
config = {config}
moe.top_k = 1
"""

    def write_study(self, **changes):
        file, folder = self.new_path("study.ini"), self.new_path("study")
        text = self.STUDY.format(dir=folder, config=self.config)
        for old, new in changes.items():
            text = text.replace(old, new)
        file.write_text(text)
        return file, folder

    def test_metrics_of_text_and_of_its_layers(self):
        file, folder = self.write_study()
        self.say("study", file)
        found = json.loads((folder / "study.json").read_text())
        for arm in found["arms"]:
            self.assertEqual([run["status"] for run in arm["runs"]], ["finished"] * 2)
            for run in arm["runs"]:
                test = runs.summary(folder / run["folder"])["test"]
                self.assertEqual(run["metrics"], {"test.loss": test["loss"], "test.bits_per_byte": test["bits_per_byte"],
                                                  "test.layers.1.h_u": test["layers"][1]["h_u"]})
        mean = found["arms"][0]["summary"]["test.bits_per_byte"]["mean"]
        self.assertIn(f"| plain | 2 | {mean / 1.4426950408889634:.4g} ", (folder / "study.md").read_text())
        self.assertIn(f'<data value="{mean}">', self.page(folder))

    def test_a_metric_that_no_arm_can_have_is_refused(self):
        for metric, nearest in (("test.mi_predicted", ""), ("test.layers.2.h_u", "did you mean 'test.layers.0.h_u'?")):
            file, folder = self.write_study(**{"test.bits_per_byte": metric})
            self.expect_failure(runs.switchyard("study", file), 2, f"study.metrics = '{metric}' is no number", nearest)
            self.assertFalse(folder.exists())


if __name__ == "__main__":
    runs.main()
