"""Ranks of one launch that were started differently find it out before they do anything, and say what differs."""

import gzip
import os
import shutil
import subprocess

import runs
from runs import Rank


class OtherRanks(runs.RunTest):
    train_samples = 500
    test_samples = 100

    def check_refused(self, by_rank, code, kind, *fragments):
        """One sentence that names both ranks and their hosts."""
        finished = runs.different_ranks(*by_rank)
        host = os.uname().nodename
        self.expect_failure(finished, code, *fragments, f"on rank 0 ({host})", f"on rank {len(by_rank) - 1} ({host})", kind=kind)
        return finished

    def test_another_value_of_any_kind(self):
        for key, value in {"optim.learning_rate": "0.01", "moe.experts": "7", "moe.placement": "cyclic", "train.max_steps": "3",
                           "model.expert": "dense:9 relu dense:classes", "run.wait_seconds": "31"}.items():
            with self.subTest(key=key):
                config, run = self.write_config()
                self.check_refused([Rank("train", config), Rank("train", config), Rank("train", config, f"--{key}={value}")], 2,
                                   "ConfigError", f"{key} is ", f"and {value} on rank 2")
                self.assertFalse(run.exists())

    def test_runs_that_were_meant_to_be_independent(self):
        config, run = self.write_config()
        self.check_refused([Rank("train", config, f"--run.dir={run}{i}", f"--run.seed={i}") for i in range(2)], 2, "ConfigError",
                           "run.dir is ", "run.seed", "independent runs are started one by one")

    def test_keys_that_each_rank_has_of_its_own(self):
        config, _ = self.write_config(train_max_steps=1)
        self.expect(runs.different_ranks(Rank("train", config), Rank("train", config, "--run.threads=2")), 0)

    def test_another_command(self):
        config, run = self.write_config(train_max_steps=1)
        self.check_refused([Rank("train", config), Rank("eval", run)], 2, "ConfigError", "the command is train", "and eval on")
        self.check_refused([Rank("bench", "step", config), Rank("bench", "matmul")], 2, "ConfigError", "the benchmark is step")

    def test_resume_and_eval_with_other_arguments(self):
        run, other = self.train(train_max_steps=1), self.train(train_max_steps=1)
        self.check_refused([Rank("resume", run, "--train.max_steps=2"), Rank("resume", run, "--train.max_steps=3")], 2,
                           "ConfigError", "train.max_steps is 2")
        self.check_refused([Rank("resume", run), Rank("resume", other)], 2, "ConfigError", f"the run folder is {run}")
        self.check_refused([Rank("eval", run), Rank("eval", other)], 2, "ConfigError", f"the checkpoint is {run}")
        self.check_refused([Rank("eval", run), Rank("eval", run, "--split=train")], 2, "ConfigError", "--split is test")

    def test_a_study_of_other_settings(self):
        config, _ = self.write_config(train_max_steps=1)
        study = self.new_path("study.ini")
        study.write_text(f"[study]\ndir = {self.new_path()}\nseeds = 1\n[arm.only]\nconfig = {config}\n")
        self.check_refused([Rank("study", study), Rank("study", study, "--optim.learning_rate=0.5")], 2, "ConfigError",
                           "optim.learning_rate is ")

    def test_keys_of_a_study_that_each_rank_has_of_its_own(self):
        config, _ = self.write_config(train_max_steps=1)
        study = self.new_path("study.ini")
        study.write_text(f"[study]\ndir = {self.new_path()}\nseeds = 1\n[arm.only]\nconfig = {config}\n")
        self.expect(runs.different_ranks(Rank("study", study), Rank("study", study, "--run.threads=2")), 0)

    def test_another_build(self):
        """A copy of the program whose build id differs in one byte, as another build's does."""
        content = bytearray(runs.binary().read_bytes())
        notes = subprocess.run(["readelf", "-n", str(runs.binary())], capture_output=True, text=True, check=True).stdout
        build_id = bytes.fromhex(notes.split("Build ID: ")[1].split()[0])
        content[content.index(build_id)] ^= 1
        other = self.new_path("switchyard")
        other.write_bytes(content)
        other.chmod(0o755)
        config, _ = self.write_config()
        self.check_refused([Rank("train", config), Rank("train", config, binary=other)], 2, "ConfigError",
                           "the digest of the program is ", "install one build")

    def test_another_instruction_set(self):
        config, _ = self.write_config()
        self.check_refused([Rank("train", config, ONEDNN_MAX_CPU_ISA="SSE41"), Rank("train", config)], 2, "ConfigError",
                           "the instruction set of products is sse41", "ONEDNN_MAX_CPU_ISA")


class OtherInputs(runs.RunTest):
    train_samples = 500
    test_samples = 100

    def test_other_data(self):
        config, run = self.write_config(train_max_steps=2)
        copy, other, longer = self.new_path("copy"), self.new_path("other"), self.new_path("longer")
        for folder, samples, seed in ((copy, 500, 1), (other, 500, 2), (longer, 505, 1)):
            runs.write_data_set(folder, samples, self.test_samples, seed=seed)
        for path in copy.glob("*.gz"):  # stored otherwise, the same data
            path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
            path.unlink()
        train = Rank("train", config)
        for folder, difference in ((other, "the digest of the data is "), (longer, "the number of training samples is 100")):
            finished = runs.different_ranks(train, train, Rank("train", config, f"--data.dir={folder}"))
            self.expect_failure(finished, 3, difference, "on rank 0 (", "on rank 2 (", kind="DataError")
            shutil.rmtree(run, ignore_errors=True)
        self.expect(runs.different_ranks(train, Rank("train", config, f"--data.dir={copy}")), 0)
        for command in ("eval", "resume"):
            finished = runs.different_ranks(Rank(command, run), Rank(command, run, f"--data.dir={other}"))
            self.expect_failure(finished, 3, "the digest of the data is ", kind="DataError")

    def test_one_rank_does_not_see_the_run_folder(self):
        """A relative folder, and one rank that starts elsewhere."""
        config, _ = self.write_config(run_dir="here", train_max_steps=1)
        first, second = self.new_path("first"), self.new_path("second")
        first.mkdir()
        second.mkdir()
        (second / "here").mkdir()
        (second / "here" / "lock").write_text("process 1 on elsewhere\n")
        for folder, reason in ((self.new_path("none"), "no lock file"), (second, "another run")):
            folder.mkdir(exist_ok=True)
            for arguments in (["train", config, "--run.resume=auto"], ["resume", "here"]):
                finished = runs.different_ranks(Rank(*arguments, folder=first), Rank(*arguments, folder=folder))
                self.expect_failure(finished, 3, "is not seen here", reason, f"rank 1 on {os.uname().nodename}", kind="DataError")
                self.expect(runs.switchyard("train", config, "--run.resume=auto", cwd=first), 0)


if __name__ == "__main__":
    runs.main()
