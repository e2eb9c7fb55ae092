"""Files that are something else: pipes, loops, folders, devices, others' files; nothing hangs, nothing of others is lost."""

import os
import shutil
import subprocess
import time

import runs


class Files(runs.RunTest):
    train_samples = 300
    test_samples = 60

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.config, cls.run_folder = cls.train_for_all(train_max_steps=4, data_validation_samples=0, train_batch_size=50,
                                                      checkpoint_every_steps=2)

    def copy(self):
        return shutil.copytree(self.run_folder, self.new_path())

    def in_place_of(self, path, check):
        """check(kind) with every other kind of thing, in turn, where `path` is."""
        for kind in ("pipe", "loop", "folder", "device"):
            path.unlink(missing_ok=True) if not path.is_dir() else path.rmdir()
            if kind == "pipe":
                os.mkfifo(path)
            elif kind == "loop":
                path.symlink_to(path.name)
            elif kind == "folder":
                path.mkdir()
            elif os.getuid() == 0:
                os.mknod(path, 0o600 | 0o020000, os.makedev(1, 3))  # what /dev/null is
            else:
                continue
            with self.subTest(kind=kind, file=path.name):
                check(kind)

    def refused(self, finished, code=3):
        self.assertEqual(finished.code, code, finished)
        self.assertEqual(finished.err.count("Error: "), 1, finished)
        self.assertNotIn("defect", finished.err)
        self.assertNotIn("ContractViolation", finished.err)

    def test_what_is_read(self):
        for name, command in (("checkpoints/latest", "resume"), ("metrics.jsonl", "resume"), ("metrics.jsonl", "report"),
                              ("summary.json", "report"), ("config.ini", "report")):
            run = self.copy()
            arguments = [command, run, "--train.max_steps=6"] if command == "resume" else [command, run]
            self.in_place_of(run / name, lambda _: self.refused(runs.switchyard(*arguments)))
        run = self.copy()  # an edited configuration is looked for there
        self.in_place_of(run / "config.ini", lambda _: self.refused(runs.switchyard("resume", run, "--train.max_steps=6"),
                                                                    code=2))
        config = self.new_path("a.ini")
        self.in_place_of(config, lambda _: self.refused(runs.switchyard("train", config), code=2))
        for name in ("train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte"):
            data = shutil.copytree(self.data, self.new_path("data"))
            arguments = ["train", self.config, f"--data.dir={data}", f"--run.dir={self.new_path()}"]
            self.in_place_of(data / name, lambda _: self.refused(runs.switchyard(*arguments)))
        for command in ("resume", "eval", "verify", "inspect"):
            thing = self.new_path("thing")
            self.in_place_of(thing, lambda _: self.refused(runs.switchyard(command, thing)))

    def test_what_is_replaced(self):
        """Only a new file, or one that the same command has made."""
        for command in (["report", self.run_folder], ["samples", self.config]):
            out = self.new_path("out")
            for _ in range(2):
                self.expect(runs.switchyard(*command, f"--out={out}"), 0)

            def check(kind):
                self.refused(runs.switchyard(*command, f"--out={out}"))
                self.assertTrue(kind != "device" or out.is_char_device())

            self.in_place_of(out, check)
            precious = self.new_path("precious")
            precious.write_text("precious")
            link = self.new_path("link")
            link.symlink_to(precious)
            for path in (precious, link, self.config):
                before = path.read_bytes()
                self.refused(runs.switchyard(*command, f"--out={path}"))
                self.assertEqual(path.read_bytes(), before)
            self.assertTrue(link.is_symlink())

    def test_links_under_names_that_we_write(self):
        precious = self.new_path("precious")
        for name in ("lock", "config.ini", "summary.json", "metrics.jsonl", "config.ini.tmp", "report.html"):
            with self.subTest(name=name):
                precious.write_text("precious")
                run = self.copy()
                (run / name).unlink(missing_ok=True)
                (run / name).symlink_to(precious)
                runs.switchyard("resume", run, "--train.max_steps=6")
                runs.switchyard("report", run)
                self.assertEqual(precious.read_text(), "precious")

    def test_no_permission_is_named(self):
        """As an ordinary user, to whom permissions apply."""
        self.folder.chmod(0o755)
        program = shutil.copy(runs.binary(), self.folder / "switchyard")
        data = shutil.copytree(self.data, self.new_path("data"))
        config, run = self.write_config(train_max_steps=2, data_dir=data, data_validation_samples=0)
        self.expect(runs.switchyard("train", config), 0)
        for path, arguments in ((data, ["train", config, "--run.dir=/tmp/never_made"]),
                                (data / "train-images-idx3-ubyte.gz", ["train", config, "--run.dir=/tmp/never_made"]),
                                (runs.newest_checkpoint(run), ["verify", runs.newest_checkpoint(run)]),
                                (runs.newest_checkpoint(run), ["eval", run]),
                                (run / "checkpoints", ["eval", run])):
            mode = path.stat().st_mode
            path.chmod(0)
            try:
                done = subprocess.run(["setpriv", "--reuid=54321", "--clear-groups", str(program), *map(str, arguments)],
                                      timeout=runs.HANGS_SECONDS, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd="/")
                self.assertEqual(done.returncode, 3, done)
                self.assertIn("Permission denied", done.stderr)
            finally:
                path.chmod(mode)

    def test_json_deeper_than_anything_we_write(self):
        deep = "[" * 100000 + "]" * 100000
        run = self.copy()
        with open(run / "metrics.jsonl", "a") as file:
            file.write('{"kind":"evaluation","split":"test","step":4,"x":' + deep + "}\n" + '{"kind":"step","step":4}\n')
        self.refused(runs.switchyard("report", run))
        study = self.new_path("study")
        study.mkdir()
        (study / "study.json").write_text('{"arms":' + deep + "}")
        self.refused(runs.switchyard("report", study))

    def test_a_study_of_too_many_runs(self):
        values = " | ".join(str(1e-3 + 1e-7 * i) for i in range(1000))
        study = self.new_path("study.ini")
        study.write_text(f"[study]\ndir = {self.new_path()}\n[all]\nbase = {self.config}\n[arm a]\n"
                         f"optim.learning_rate = {values}\noptim.weight_decay = {values}\n")
        finished = runs.switchyard("study", study)
        self.assertEqual((finished.code, finished.err.count("ConfigError: ")), (2, 1), finished)

    def test_lines_that_are_missing_are_said(self):
        run = self.copy()
        lines = (run / "metrics.jsonl").read_text().splitlines()
        steps = [line for line in lines if '"kind":"step"' in line]
        (run / "metrics.jsonl").write_text("\n".join(steps[:2]) + "\n")
        finished = self.resume(run, "--train.max_steps=6")
        self.assertIn("has 2 of the 4 steps before the checkpoint", finished.err)

    def test_a_lock_that_was_just_left(self):
        run = self.copy()
        holder = subprocess.Popen(["flock", run / "lock", "sleep", "1"])
        time.sleep(0.3)
        self.resume(run, "--train.max_steps=6")
        holder.wait()

    def test_file_names_with_dots(self):
        data = shutil.copytree(self.data, self.new_path("data"))
        for file in list(data.iterdir()):
            file.rename(file.with_name(file.name.replace("-idx", ".idx")))
        run = self.new_path()
        self.expect(runs.switchyard("train", self.config, f"--data.dir={data}", f"--run.dir={run}"), 0)
        self.assert_same_arrays(runs.newest_checkpoint(run), runs.newest_checkpoint(self.run_folder))

    def test_what_stands_where_a_run_will_end_is_found_before_it_begins(self):
        """Also somebody else's results: a folder without config.ini that has them is not taken."""
        for name in ("summary.json", "checkpoints/best", "checkpoints/latest"):
            run = self.new_path()
            (run / name).mkdir(parents=True)
            finished = runs.switchyard("train", self.config, f"--run.dir={run}")
            self.refused(finished)
            self.assertNotIn("epoch", finished.out)
        for name in ("summary.json", "metrics.jsonl"):
            run = self.new_path()
            run.mkdir()
            (run / name).write_text("mine")
            self.refused(runs.switchyard("train", self.config, f"--run.dir={run}", "--run.resume=auto"))
            self.assertEqual((run / name).read_text(), "mine")

    def test_samples_replace_samples_alone(self):
        run = self.copy()
        newest = runs.newest_checkpoint(run)
        before = newest.read_bytes()
        self.refused(runs.switchyard("samples", self.config, f"--out={newest}"))
        self.assertEqual(newest.read_bytes(), before)
        out = self.new_path("samples.h5")
        for _ in range(2):
            self.expect(runs.switchyard("samples", self.config, f"--out={out}"), 0)
        shutil.copy(out, newest)
        self.refused(runs.switchyard("verify", newest))
        self.assertIn("passing over", self.expect(runs.switchyard("resume", run, "--train.max_steps=6"), 0).err)

    def test_samples_of_every_process_of_a_launch(self):
        out = self.new_path("samples.h5")
        self.expect(runs.switchyard("samples", self.config, f"--out={out}", ranks=3), 0)
        self.assertEqual([path.name for path in out.parent.glob(out.name + "*")], [out.name])

    def test_metrics_that_somebody_took_away(self):
        run = self.copy()
        (run / "metrics.jsonl").unlink()
        self.expect(runs.switchyard("resume", run, "--train.max_steps=6"), 0, "has 0 of the 4 steps")
        config, run = self.write_config(train_epochs=100000, data_validation_samples=0, checkpoint_every_steps=100)
        running = runs.Running("train", config)
        metrics = run / "metrics.jsonl"
        self.assertTrue(running.wait_until(lambda: metrics.exists() and metrics.stat().st_size > 0))
        metrics.unlink()
        (run / "lock").unlink()  # the next save ends it
        self.expect(running.wait(), 3, "was taken away while the run writes to it", "a second run may be writing")


if __name__ == "__main__":
    if os.getuid() != 0:
        del Files.test_no_permission_is_named  # it takes root to become somebody else
    runs.main()
