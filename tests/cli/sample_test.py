"""`switchyard sample` from a user's side: what it refuses, where it finds the vocabulary, and that text alone is printed."""

import shutil
import subprocess

import h5py

import runs
import token_runs
from tokens_test import OfTokens, VOCABULARY, write_pages

VOCABULARY_PATH = "data/vocabulary"


class OfPieces(OfTokens):
    def sample(self, *arguments, run=None):
        done = subprocess.run([runs.binary(), "sample", run or self.run_folder, *arguments], capture_output=True, check=True)
        return done.stdout, done.stderr.decode()

    def without_vocabulary(self):
        """A checkpoint as an older version wrote it."""
        file = self.new_path("older.h5")
        shutil.copy(runs.newest_checkpoint(self.run_folder), file)

        def remove(opened):
            del opened[VOCABULARY_PATH]

        runs.edit_checkpoint(file, remove)
        return file

    def test_the_checkpoint_holds_the_vocabulary(self):
        with h5py.File(runs.newest_checkpoint(self.run_folder)) as file, h5py.File(self.file) as tokens:
            self.assertEqual(file[VOCABULARY_PATH][()].tobytes(), tokens["model"][()].tobytes())
        expected = self.sample("--prompt=dear madam", "--tokens=40")[0]
        away = self.new_path("away.h5")
        self.file.rename(away)
        try:
            self.assertEqual(self.sample("--prompt=dear madam", "--tokens=40")[0], expected)
            older = self.without_vocabulary()
            self.expect_failure(runs.switchyard("sample", older), 3, "does not hold its vocabulary", str(self.file),
                                "--data.file=FILE")
            self.assertEqual(self.sample("--prompt=dear madam", "--tokens=40", f"--data.file={away}", run=older)[0], expected)
        finally:
            away.rename(self.file)
        few = self.new_path("few")
        write_pages(few, ["one", "two", "three"], 3)
        self.say("corpus", f"code={few}", "--vocabulary=290", f"--out={few}.h5")
        self.expect_failure(runs.switchyard("sample", older, f"--data.file={few}.h5"), 3,
                            f"has 290 pieces, and the model of the checkpoint knows {VOCABULARY}")

    def test_a_document_begins_and_ends(self):
        out, err = self.sample("--count=20", "--tokens=2000", "--seed=5")
        samples = out.split(b"\n\0")
        self.assertEqual((len(samples), samples.pop()), (21, b""))
        self.assertIn("sample 20 of 20", err)
        self.assertGreater(err.count("the model ended the document"), 0)
        self.assertRegex(err, r"[\d,]+ tokens in [\d.]+ s, [\d,.]+ a second")
        # Bytes that are no pieces of text come one by one, and whole characters are printed all the same.
        out, _ = self.sample("--prompt=naïv", "--tokens=300", "--temperature=1.5")
        self.assertGreater(len(out), 300)

    def test_text_appears_as_it_grows(self):
        running = subprocess.Popen([runs.binary(), "sample", self.run_folder, "--prompt=dear", "--tokens=1000000000"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(len(running.stdout.read(50)), 50)
        running.stdout.close()  # and nobody has to wait for what nobody reads
        self.assertEqual(running.wait(60), 3)
        with running.stderr as err:
            self.assertEqual(err.read().decode().count("cannot write standard output (Broken pipe)"), 1)

    def test_refusals(self):
        run, file = self.run_folder, runs.newest_checkpoint(self.run_folder)
        empty = self.new_path("empty.txt")
        empty.touch()
        for arguments, code, fragments in (
                ((), 2, ("sample takes one checkpoint or run folder, and 0 were given",)),
                ((run, run), 2, ("and 2 were given",)),
                ((self.folder / "none",), 3, ("none",)),
                ((self.file,), 3, ("holds tokens",)),
                ((run, "--tokens=0"), 2, ("--tokens=0 is not a whole number from 1 to 1000000000", "--tokens=200")),
                ((run, "--tokens=many"), 2, ("--tokens=many is not",)),
                ((run, "--count=-1"), 2, ("--count=-1 is not",)),
                ((run, "--temperature=-0.5"), 2, ("--temperature=-0.5 is not a number from 0 to 1e30",)),
                ((run, "--temperature=nan"), 2, ("--temperature=nan is not",)),
                ((run, "--top-p=0"), 2, ("--top-p=0 is not a number above 0 and up to 1",)),
                ((run, "--top-p=1.5"), 2, ("--top-p=1.5 is not",)),
                ((run, "--seed=-1"), 2, ("--seed=-1 is not a whole number from 0 on",)),
                ((run, "--prompt=a", f"--prompts={empty}"), 2, ("--prompt and --prompts are both given",)),
                ((run, f"--prompts={empty}"), 3, ("is empty",)),
                ((run, "--prompts=/nowhere.txt"), 3, ("cannot read --prompts='/nowhere.txt'",)),
                ((run, "--checkpoint=7"), 3, ("7",)),
                ((file, "--checkpoint=best"), 2, ("--checkpoint=best with the file",)),
                ((run, "--topp=1"), 2, ("topp",)),
                ((run, "--moe.capacity=2"), 2, ("moe.capacity = 2", "add --moe.capacity=0")),
                ((run, "--optim.learning_rate=1"), 2, ("optim.learning_rate cannot be changed here",))):
            with self.subTest(arguments=arguments):
                self.expect_failure(runs.switchyard("sample", *arguments), code, *fragments)
        self.expect_failure(runs.switchyard("sample", run, "--tokens=0", ranks=3), 2, "--tokens=0 is not a whole number")
        self.expect_failure(runs.different_ranks(runs.Rank("sample", run, "--seed=1"), runs.Rank("sample", run, "--seed=2")), 2,
                            "--seed")

    def test_a_lost_output_ends_it(self):
        with open("/dev/full", "w") as full:
            finished = runs.switchyard("sample", self.run_folder, "--tokens=1000000000", stdout=full)
        self.expect_failure(finished, 3, "cannot write standard output (No space left on device)", kind="DataError")

    def test_other_vocabularies(self):
        """Of the same size as the run's, and the run's for other text."""
        other, more = self.new_path("other"), self.new_path("more")
        write_pages(other, ["(x)", "letters", "return", "and", "others"], 4)
        write_pages(more, ["yours", "truly"], 5)
        self.say("corpus", f"code={other}", f"letters={more}", f"--vocabulary={VOCABULARY}", f"--out={other}.h5")
        self.expect_failure(runs.switchyard("eval", self.run_folder, f"--data.file={other}.h5"), 3,
                            "are of another vocabulary than the model's", f"of {VOCABULARY} pieces are others",
                            "--vocabulary=RUN")
        self.expect_failure(runs.switchyard("train", self.config, f"--data.file={other}.h5", f"--init.from={self.run_folder}",
                                            f"--run.dir={self.new_path()}"), 3, "init.from = ",
                            "are of another vocabulary than the model's")
        for source in (self.run_folder, runs.newest_checkpoint(self.run_folder), self.file):
            made = self.new_path("same.h5")
            self.say("corpus", f"code={other}", f"letters={more}", f"--vocabulary={source}", f"--out={made}")
            with h5py.File(made) as file, h5py.File(self.file) as theirs:
                self.assertEqual(file["model"][()].tobytes(), theirs["model"][()].tobytes())
                self.assertEqual(file["learned_from_every"][()], 0)
            finished = self.expect(runs.switchyard("eval", self.run_folder, f"--data.file={made}"), 0)
            self.assertIn('"same_as_run":false', finished.out)
            self.assertIn("the data are not those of the checkpoint's run", finished.err)
        self.expect_failure(runs.switchyard("corpus", other, "--vocabulary=/nowhere.h5", f"--out={other}2.h5"), 2,
                            "is no number of pieces, and no file has this name")
        older = self.without_vocabulary()
        self.expect_failure(runs.switchyard("corpus", other, f"--vocabulary={older}", f"--out={other}2.h5"), 3,
                            "holds no vocabulary")


class OfSamples(runs.RunTest):
    def test_a_model_of_samples_is_refused(self):
        run = self.train(train_max_steps=2)
        for ranks in (0, 2):
            self.expect_failure(runs.switchyard("sample", run, "--prompt=a", ranks=ranks), 2, "model.family = mixture",
                                "a model of text", kind="ConfigError")


class OfBytes(runs.RunTest):
    def test_a_text_has_to_begin(self):
        folder = self.new_path("text")
        token_runs.write_texts(folder, [token_runs.MarkovChain(1).text(seed, 80_000) for seed in range(3)])
        type(self).base_keys = token_runs.BASE_KEYS
        run = self.train(data_dir=folder, train_max_steps=2)
        self.expect_failure(runs.switchyard("sample", run), 2, "there is no prompt, or an empty one", "--prompt=TEXT")
        shutil.rmtree(folder)  # it reads no text
        finished = self.expect(runs.switchyard("sample", run, "--prompt=a", "--tokens=8"), 0)
        self.assertTrue(finished.out.endswith("\n"))


if __name__ == "__main__":
    runs.main()
