"""A run folder that cannot be written to, and a disk that fills up.

Small and read-only file systems are mounted in a mount namespace of the test's own, which goes away with it. Without
root rights that needs user namespaces.
"""

import ctypes
import os
import pathlib
import shutil
import subprocess

import runs

RANKS = (0, 2, 3)  # 0: one rank without a launcher
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000


def enter_own_mount_namespace():
    """From now on, what this process mounts is seen by it and its children alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    flags = CLONE_NEWNS if user == 0 else CLONE_NEWNS | CLONE_NEWUSER
    if libc.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), "cannot make a mount namespace; run the test as root, or allow user namespaces")
    if user != 0:
        for file, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
            pathlib.Path(f"/proc/self/{file}").write_text(text)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


class RunFolder(runs.RunTest):
    train_samples = 500
    test_samples = 100

    def test_a_path_below_a_file(self):
        file = self.new_path("file")
        file.write_text("")
        for ranks in RANKS:
            with self.subTest(ranks=ranks):
                config, _ = self.write_config(run_dir=file / "run", train_max_steps=2)
                finished = runs.switchyard("train", config, ranks=ranks)
                self.expect_failure(finished, 3, "cannot make the run folder", "Not a directory", kind="DataError")

    def test_a_file_is_in_its_place(self):
        file = self.new_path("file")
        file.write_text("")
        for ranks in RANKS:
            with self.subTest(ranks=ranks):
                config, _ = self.write_config(run_dir=file, train_max_steps=2)
                finished = runs.switchyard("train", config, ranks=ranks)
                self.expect_failure(finished, 3, str(file), kind="DataError")


class Disk(runs.RunTest):
    train_samples = 500
    test_samples = 100

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        enter_own_mount_namespace()

    def mount(self, options):
        folder = self.new_path("disk")
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
        self.addCleanup(subprocess.run, ["umount", str(folder)], check=True)
        return folder

    def test_read_only(self):
        disk = self.mount("ro")
        for ranks in RANKS:
            with self.subTest(ranks=ranks):
                config, _ = self.write_config(run_dir=disk / "run", train_max_steps=2)
                finished = runs.switchyard("train", config, ranks=ranks)
                self.expect_failure(finished, 3, "cannot make the run folder", "Read-only file system", kind="DataError")

    def test_full_before_the_first_checkpoint(self):
        """Less space than a checkpoint needs: seen when its space is reserved."""
        disk = self.mount("size=200k")
        for ranks in RANKS:
            with self.subTest(ranks=ranks):
                config, run = self.write_config(run_dir=disk / f"run{ranks}", train_max_steps=2)
                finished = runs.switchyard("train", config, ranks=ranks)
                self.expect_failure(finished, 3, "cannot write the checkpoint", "No space left on device",
                                    kind="DataError")
                self.assertEqual(list((run / "checkpoints").iterdir()), [])
                shutil.rmtree(run)

    def test_full_at_every_size_up_to_what_a_run_needs(self):
        """Wherever the disk fills up (configuration, metrics, data, close, pointer, summary), it is a DataError, and
        what was published before stays whole. A checkpoint of this model has about 410 kB."""
        seen = set()
        sizes = (4, 8, 16, 408, 416, 420, 424, 428, 432, 436, 440, 840, 844, 848)
        for number, kilobytes in enumerate(sizes):
            ranks = RANKS[number % len(RANKS)]
            with self.subTest(kilobytes=kilobytes, ranks=ranks):
                disk = self.mount(f"size={kilobytes}k")
                config, run = self.write_config(run_dir=disk / "run", train_max_steps=4, checkpoint_every_steps=2)
                finished = runs.switchyard("train", config, ranks=ranks)
                seen.add(finished.code)
                if finished.code != 0:
                    self.expect_failure(finished, 3, "No space left on device", kind="DataError")
                for file in (run / "checkpoints").glob("*.h5"):
                    self.expect(runs.switchyard("verify", file), 0)
        self.assertIn(3, seen)

    def test_full_while_metrics_grow(self):
        disk = self.mount("size=2m")
        for ranks in RANKS:
            with self.subTest(ranks=ranks):
                config, run = self.write_config(run_dir=disk / f"run{ranks}", train_epochs=1000)
                running = runs.Running("train", config, ranks=ranks)
                running.wait_until(lambda: (run / "checkpoints" / "latest").exists())
                with open(disk / "filler", "wb", buffering=0) as filler:
                    try:
                        while True:
                            filler.write(bytes(4096))
                    except OSError:
                        pass
                finished = running.wait()
                self.expect(finished, 3, "No space left on device")
                self.assertEqual(finished.err.count("DataError: "), 1, finished)
                (disk / "filler").unlink()
                # Nothing is lost: with space again, it goes on.
                done = int("".join(filter(str.isdigit, runs.newest_checkpoint(run).stem)))  # one, or more where it was quick
                self.resume(run, f"--train.max_steps={done + 1}", ranks=ranks)
                shutil.rmtree(run)


if __name__ == "__main__":
    runs.main()
