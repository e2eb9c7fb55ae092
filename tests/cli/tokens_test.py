"""A model of a file of tokens from a user's side: its windows against the file, bits per byte, units, domains."""

import json
import math
import pathlib
import random
import re
import shlex

import h5py
import numpy

import runs

SOURCE = pathlib.Path(__file__).resolve().parents[2]
WINDOW, VOCABULARY = 16, 350
CONFIG = """\
[run]
threads = 1
[data]
source = tokens
file = {file}
window = {window}
[model]
family = tokens
gate = dense:experts
expert = dense:8 relu dense:width
[tokens]
width = 16
blocks = 1
[moe]
experts = 3
top_k = 2
importance = 0.1
[train]
batch_size = 64
epochs = 1
log_every_steps = 10
"""
SPLITS = ("train", "validation", "test")


def write_pages(folder, words, seed):
    folder.mkdir()
    random.seed(seed)
    for page in range(60):
        lines = random.randint(1, 30)
        (folder / f"{page:02}.txt").write_text(
            "".join(" ".join(random.choices(words, k=6)) + f" {random.randint(0, 10**9)}\n" for _ in range(lines)))


class OfTokens(runs.RunTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        write_pages(code := cls.new_path("code"), ["if", "else", "(x)", "{", "};", "return"], 1)
        write_pages(letters := cls.new_path("letters"), ["dear", "madam", "yours", "truly,", "naïve"], 2)
        cls.file, cls.config, cls.run_folder = cls.new_path("tokens.h5"), cls.new_path("config.ini"), cls.new_path()
        made = runs.switchyard("corpus", f"code={code}", f"letters={letters}", f"--vocabulary={VOCABULARY}", f"--out={cls.file}")
        cls.config.write_text(CONFIG.format(file=cls.file, window=WINDOW))
        cls.trained = runs.switchyard("train", cls.config, f"--run.dir={cls.run_folder}")
        for finished in (made, cls.trained):
            if finished.code != 0:
                raise AssertionError(finished)
        with h5py.File(cls.file) as file:
            begin = file["pieces/begin"][:]
            cls.piece_bytes, cls.tokens = numpy.diff(begin), file["tokens"][:].astype(numpy.int64)
            at = file["document_begin"][:]
            cls.documents = list(zip(file["document_split"][:], file["document_domain"][:], at, at[1:]))

    def windows(self, split, pack, window=WINDOW):
        """[(tokens with the one behind them, domain)], as docs/language_models.md says how they are cut."""
        found = []
        for domain in range(2):
            parts = [self.tokens[a:b] for s, d, a, b in self.documents if (SPLITS[s], d) == (split, domain)]
            streams = parts if not pack else [numpy.concatenate(parts)] if parts else []
            found += [(stream[at:at + window + 1], domain) for stream in streams
                      for at in range(0, len(stream) - window, window)]
        return found

    def say(self, *arguments, ranks=0):
        return self.expect(runs.switchyard(*arguments, ranks=ranks), 0).out


class Page(runs.RunTest):
    """docs/language_models.md, from top to bottom; what installs packages is left out."""

    def test_commands_run(self):
        here, letters = self.new_path() / "here", "abcdefghijklmnopqrstuvwxyz"
        for folder, name in (("here/texts/a", "{}.rst"), ("here/texts/b", "{}.txt"), ("here/other", "{}.txt"), ("docs", "{}.md"), ("here", "novels.txt")):
            (here.parent / folder).mkdir(parents=True, exist_ok=True)
            for page in range(1 if name == "novels.txt" else 20):
                random.seed(f"{folder}{page}")
                text = "".join("".join(random.choices(letters, k=4)) + random.choice("   \n") for _ in range(1200))
                (here.parent / folder / name.format(page)).write_text(text)
        page = (SOURCE / "docs/language_models.md").read_text().replace("\\\n", " ")
        commands = re.findall(r"(?m)^    switchyard (.*)", page)
        commands = [shlex.split(words) for words in commands if "$(" not in words]
        self.assertLessEqual({"corpus", "train", "plan", "sample", "eval", "export", "import"}, {words[0] for words in commands})
        for words in commands:
            words = [word.replace("configs/", f"{SOURCE}/configs/") for word in words]
            few = ["--train.max_steps=2"] if words[0] == "train" else []
            words = [word for word in words if not word.startswith("--train.max_steps=")]
            running = runs.Running(*words, *few, cwd=here)
            self.expect(running.wait(), 0)
        for run in ("first", "pieces", "text/mixture", "text/bitnet", "text/upcycled"):
            self.assertGreater(runs.summary(here / "runs" / run)["test"]["bits_per_byte"], 0)


class Windows(OfTokens):
    def test_are_those_of_the_file(self):
        for pack in (True, False):
            out = self.new_path("samples.h5")
            self.say("samples", self.config, f"--out={out}", *([] if pack else ["--data.pack=no"]))
            with h5py.File(out) as file:
                for split in SPLITS:
                    expected = self.windows(split, pack)
                    self.assertGreater(len(expected), 3)
                    rows = numpy.stack([row for row, _ in expected])
                    self.assertTrue(numpy.array_equal(file[split]["tokens"][:], rows[:, :-1]))
                    self.assertTrue(numpy.array_equal(file[split]["targets"][:], rows[:, 1:]))
                    self.assertEqual(list(file[split]["clusters"][:]), [domain for _, domain in expected])


class Runs(OfTokens):
    def test_bits_are_of_the_bytes_that_the_targets_are(self):
        for split in ("validation", "test"):
            targets = numpy.concatenate([row[1:] for row, _ in self.windows(split, True)])
            size = int(self.piece_bytes[targets].sum())
            found = runs.summary(self.run_folder)[split]
            self.assertAlmostEqual(found["bits_per_byte"], found["loss"] / math.log(2) * len(targets) / size, delta=1e-12)
            self.assertLess(found["loss"], math.log(VOCABULARY))
            self.assertEqual(sum(map(sum, found["layers"][0]["domain_by_expert"])), len(targets))

    def test_units_are_tokens(self):
        said = self.trained.out
        self.assertIn(f"tokens of {self.file}", said)
        self.assertIn(f"windows of {WINDOW} tokens, vocabulary {VOCABULARY}, 2 domains", said)
        self.assertRegex(said, r"tokens/s  ")
        self.assertRegex(said, r"(?m)^  error .* share of tokens that were not the most probable$")
        self.assertRegex(said, r"(?m)^  loss .* nats a token$")
        self.assertRegex(said, r"(?m)^  bits .* a byte$")
        self.assertRegex(said, r"(?m)^ +letters +\d")
        self.assertRegex(self.say("bench", "step", self.config, "--train.max_steps=2"), r"MFLOP a token ")

    def test_the_model_has_the_vocabulary(self):
        with h5py.File(runs.newest_checkpoint(self.run_folder)) as file:
            self.assertEqual(file["parameters/embedding/weight"].shape, (VOCABULARY, 16))
        self.assertEqual(runs.summary(self.run_folder)["test"]["domains"], ["code", "letters"])

    def test_ranks_and_eval_give_the_same_bits(self):
        of_three = self.new_path()
        self.say("train", self.config, f"--run.dir={of_three}", ranks=3)
        self.say("diff", self.run_folder, of_three)
        found = json.loads(self.say("eval", of_three, ranks=2))
        expected = runs.summary(self.run_folder)["test"]
        self.assertEqual({key: found[key] for key in expected}, expected)

    def test_other_tokens_are_refused(self):
        other = self.new_path("other.h5")
        folder = self.new_path("few")
        write_pages(folder, ["one", "two", "three"], 3)
        self.say("corpus", f"code={folder}", "--vocabulary=290", f"--out={other}")
        self.expect_failure(runs.switchyard("eval", self.run_folder, f"--data.file={other}"), 3,
                            f"of another vocabulary than the model's (290 pieces, and that one has {VOCABULARY})")
        found = json.loads(self.say("eval", self.run_folder, f"--data.file={self.file}"))
        self.assertTrue(found["data"]["same_as_run"])
        found = json.loads(self.say("eval", self.run_folder, "--data.evaluation_samples=2"))
        self.assertTrue(found["data"]["same_as_run"])
        self.expect_failure(runs.switchyard("resume", self.run_folder, f"--data.file={other}"), 3,
                            "the data are not those that the run began with")
        for file, said in ((SOURCE / "README.md", "another kind of file"), (runs.newest_checkpoint(self.run_folder), "it is a checkpoint")):
            self.expect_failure(runs.switchyard("train", self.config, f"--run.dir={self.new_path()}", f"--data.file={file}"), 3, said)
        damaged = self.new_path("damaged.h5")
        content = bytearray(self.file.read_bytes())
        content[-100] ^= 1
        damaged.write_bytes(content)
        self.expect_failure(runs.switchyard("train", self.config, f"--run.dir={self.new_path()}", f"--data.file={damaged}"), 3,
                            "its content is damaged", "make it again")

    def test_a_report_shows_bits_and_domains(self):
        page = self.new_path("page.html")
        self.say("report", self.run_folder, f"--out={page}")
        self.assertIn("bits per byte", page.read_text())
        self.assertRegex(page.read_text(), "<title>domain letters, expert")


if __name__ == "__main__":
    runs.main()
