"""What a run that goes on, or is evaluated, finds changed since it began."""

import json
import shutil

import h5py

import runs

RANKS = (0, 2)  # 0: one rank without a launcher


class Changed(runs.RunTest):
    train_samples = 500
    test_samples = 100

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other, cls.grown = cls.new_path("other"), cls.new_path("grown")
        runs.write_data_set(cls.other, cls.train_samples, cls.test_samples, seed=2)
        runs.write_data_set(cls.grown, cls.train_samples + 5, cls.test_samples)
        cls.config, cls.original = cls.write_config(train_max_steps=3, checkpoint_every_steps=1)
        finished = runs.switchyard("train", cls.config)
        if finished.code != 0:
            raise AssertionError(finished)

    def setUp(self):
        self.run_folder = self.new_path()
        shutil.copytree(self.original, self.run_folder)

    def edit(self, key, value):
        file = self.run_folder / "config.ini"
        lines = [f"{key} = {value}" if line.startswith(f"{key} = ") else line for line in file.read_text().splitlines()]
        file.write_text("\n".join(lines) + "\n")

    def test_resume_refuses_other_data(self):
        before = runs.metrics(self.run_folder)
        for folder, difference in ((self.other, "digest"), (self.grown, "now 105 training")):
            for ranks in RANKS:
                with self.subTest(folder=folder.name, ranks=ranks):
                    finished = runs.switchyard("resume", self.run_folder, "--train.max_steps=0", f"--data.dir={folder}",
                                               ranks=ranks)
                    self.expect_failure(finished, 3, "not those that the run began with: then 100 training", difference,
                                        kind="DataError")
        finished = runs.switchyard("train", self.config, f"--run.dir={self.run_folder}", "--run.resume=auto",
                                   "--train.max_steps=0", f"--data.dir={self.other}")
        self.expect_failure(finished, 3, "not those that the run began with", kind="DataError")
        self.assertEqual(before, runs.metrics(self.run_folder))

    def test_eval_tells_of_other_data(self):
        for folder, same in ((self.data, True), (self.other, False)):
            finished = self.expect(runs.switchyard("eval", self.run_folder, f"--data.dir={folder}"), 0)
            self.assertEqual(json.loads(finished.out)["data"]["same_as_run"], same, finished)
            self.assertEqual("not those of the checkpoint's run" in finished.err, not same, finished)

    def test_a_person_finds_the_data_in_the_checkpoint(self):
        with h5py.File(runs.newest_checkpoint(self.run_folder)) as file:
            self.assertEqual([int(file[f"data/{split}_samples"][()]) for split in ("training", "validation", "test")],
                             [100, 400, 100])
            self.assertRegex(file["data/digest"][()].decode(), "^[0-9a-f]{32}$")

    def test_a_checkpoint_that_does_not_say_its_data(self):
        runs.edit_checkpoint(runs.newest_checkpoint(self.run_folder), lambda file: file.__delitem__("data"))
        finished = self.resume(self.run_folder, "--train.max_steps=4")
        self.assertEqual(finished.err.count("does not say which data"), 1, finished)
        finished = self.expect(runs.switchyard("eval", self.run_folder), 0)

    def test_another_build_and_processor(self):
        def replace(file):
            for name, text in (("build", b"switchyard 0.0.1"), ("products", b"oneDNN 1.0.0")):
                del file[name]
                data_set = file.create_dataset(name, data=text, dtype=h5py.string_dtype("utf-8", len(text)))
                data_set.attrs["header"] = file["state/step"].attrs["header"]

        runs.edit_checkpoint(runs.newest_checkpoint(self.run_folder), replace)
        finished = runs.switchyard("resume", self.run_folder, "--train.max_steps=4", environment={"ONEDNN_MAX_CPU_ISA": "SSE41"},
                                   ranks=2)
        self.expect(finished, 0)
        for fragment in ("and was switchyard 0.0.1 when", "and was oneDNN 1.0.0 when", "instruction set of products is sse41"):
            self.assertEqual(finished.err.count(fragment), 1, finished)

    def test_an_edited_key_that_a_resume_does_not_take(self):
        self.edit("learning_rate", "0.001")
        for arguments in (["resume", self.run_folder], ["train", self.config, "--run.resume=auto", f"--run.dir={self.run_folder}"]):
            finished = runs.switchyard(*arguments, "--train.max_steps=4")
            self.expect_failure(finished, 2, "config.ini was changed: it has optim.learning_rate = 0.001, and the run has 0.003",
                                "--init.from", kind="ConfigError")
        self.assertIn("learning_rate = 0.001\n", (self.run_folder / "config.ini").read_text())

    def test_an_edited_key_that_a_resume_takes(self):
        self.edit("max_steps", "5")
        finished = runs.switchyard("resume", self.run_folder)
        self.expect(finished, 0, "config.ini has train.max_steps = 5, and the run goes on with 3", "give --train.max_steps=5")
        self.edit("max_steps", "5")
        finished = self.resume(self.run_folder, "--train.max_steps=5")
        self.assertNotIn("config.ini", finished.err)
        self.assertEqual(runs.summary(self.run_folder)["steps"], 5)

    def test_fewer_steps_than_are_done(self):
        finished = runs.switchyard("resume", self.run_folder, "--train.max_steps=2")
        self.expect_failure(finished, 2, "train.max_steps = 2 but the run has done 3 steps", kind="ConfigError")

    def test_a_finished_run_is_left_alone(self):
        def state():
            return {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in sorted(self.run_folder.rglob("*"))
                    if file.is_file() and file.name != "lock"}

        before = state()
        for arguments in (["resume", self.run_folder], ["train", self.config, "--run.resume=auto", f"--run.dir={self.run_folder}"]):
            for ranks in RANKS:
                finished = self.expect(runs.switchyard(*arguments, ranks=ranks), 0)
                self.assertIn("nothing left to do", finished.out)
                self.assertEqual(before, state())

    def test_a_run_that_was_killed_before_its_results(self):
        expected = runs.results(self.run_folder)
        (self.run_folder / "summary.json").unlink()
        self.resume(self.run_folder)
        self.assertEqual(expected, runs.results(self.run_folder))

    def test_a_run_that_was_killed_between_two_names(self):
        config, undisturbed = self.write_config(train_max_steps=3, train_batch_size=100)
        self.expect(runs.switchyard("train", config), 0)

        def pointers(run):
            return {name: (run / "checkpoints" / name).read_text() for name in ("latest", "best")}

        for nth in range(1, 9):  # a checkpoint's own name, latest and, of the first two, best
            with self.subTest(rename=nth):
                run = self.new_path()
                delivered = self.new_path()
                killed = runs.switchyard("train", config, f"--run.dir={run}",
                                         environment=runs.fault("rename", nth, "kill", path=run / "checkpoints", mark=delivered))
                self.assertTrue(delivered.exists(), killed)
                self.expect(runs.switchyard("train", config, f"--run.dir={run}", "--run.resume=auto"), 0)
                self.assertEqual(pointers(undisturbed), pointers(run))


if __name__ == "__main__":
    runs.main()
