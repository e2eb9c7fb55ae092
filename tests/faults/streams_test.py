"""Output that cannot be written, readers that go away, descriptors that are closed, limits of the system."""

import os
import resource
import shutil
import subprocess

import runs


class Streams(runs.RunTest):
    train_samples = 500
    test_samples = 100

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.config, cls.run_folder = cls.train_for_all(train_max_steps=2)
        cls.file = runs.newest_checkpoint(cls.run_folder)

    def shell(self, command):
        """The exit code and standard error of a shell command; $S is the program."""
        done = subprocess.run(["bash", "-c", command], env={**os.environ, "S": str(runs.binary())}, timeout=runs.HANGS_SECONDS,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return done.returncode, done.stderr

    def products(self):
        """Commands whose product is what they print."""
        return (("eval", self.run_folder), ("inspect", self.file), ("verify", self.file), ("diff", self.file, self.file),
                ("plan", self.config), ("doctor",), ("--version",), ("help",), ("help", "configuration"), ("train", "--help"))

    def test_a_full_disk_behind_standard_output(self):
        for command in self.products():
            with self.subTest(command=command), open("/dev/full", "w") as full:
                finished = runs.switchyard(*command, stdout=full)
                self.expect_failure(finished, 3, "cannot write standard output (No space left on device)", kind="DataError")

    def test_a_run_is_complete_and_says_that_its_output_was_lost(self):
        run = self.new_path()
        with open("/dev/full", "w") as full:
            finished = runs.switchyard("train", self.config, f"--run.dir={run}", stdout=full)
        self.expect_failure(finished, 3, "cannot write standard output (No space", "the files of the run are complete")
        self.assertEqual(runs.summary(run)["exit"]["code"], 0)

    def test_a_run_goes_on_without_its_reader(self):
        for ranks in (0, 2):
            with self.subTest(ranks=ranks):
                run = self.new_path()
                reader, writer = os.pipe()
                running = runs.Running("train", self.config, f"--run.dir={run}", "--train.log_every_steps=1", ranks=ranks,
                                       stdout=writer)
                os.close(writer)
                os.close(reader)
                finished = running.wait()
                if ranks == 0:  # mpirun, which reads the ranks' output, has an opinion of its own on a lost reader
                    self.expect(finished, 0)
                self.assertEqual(runs.summary(run)["exit"]["code"], 0)

    def test_closed_descriptors(self):
        run = self.new_path()
        code, err = self.shell(f"$S train {self.config} --run.dir={run} <&- >&- 2>&-")
        self.assertEqual(code, 0, err)
        self.assert_same_checkpoint(runs.newest_checkpoint(run), self.file)
        code, err = self.shell(f"$S verify {self.file} >&-")
        self.assertEqual((code, err.count("cannot write standard output")), (3, 1), err)

    def test_a_limit_on_the_size_of_files(self):
        for kibibytes, what in ((12, "checkpoint"), (1, "")):
            with self.subTest(kibibytes=kibibytes):
                run = self.new_path()
                code, err = self.shell(f"ulimit -f {kibibytes}; $S train {self.config} --run.dir={run} >/dev/null")
                self.assertEqual((code, err.count("File too large")), (3, 1), err)
                self.assertIn(what, err)
                self.assertEqual(list(run.rglob("*.tmp")), [])

    def test_threads_that_cannot_start(self):
        """As an ordinary user: root has no limit on processes."""
        run = self.folder / "everybody"
        run.mkdir(mode=0o777)
        run.chmod(0o777)
        self.folder.chmod(0o755)
        program = shutil.copy(runs.binary(), run / "switchyard")
        for limit, threads in ((20, 64), (1, 2)):
            with self.subTest(limit=limit):
                done = subprocess.run(
                    ["setpriv", "--reuid=54321", "--clear-groups", str(program), "train", str(self.config),
                     f"--run.dir={run}/run_{limit}", f"--run.threads={threads}"],
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit)), timeout=runs.HANGS_SECONDS,
                    stdin=subprocess.DEVNULL, capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stderr.count("SystemError: cannot start ")), (4, 1), done)
                self.assertIn("run.threads", done.stderr)

    def test_memory_that_runs_out_at_once(self):
        for call in (5, 16, 40):
            with self.subTest(call=call):
                run = self.new_path()
                finished = runs.switchyard("train", self.config, f"--run.dir={run}",
                                           environment=runs.fault("new", call, "fail"))
                self.assertEqual(finished.code, 4, finished)
                self.assertEqual((finished.out, finished.err.count("switchyard error: OutOfMemory: ")), ("", 1), finished)

    def test_memory_that_is_refused_once(self):
        """At each of the first calls, those before main too, and at some of the later ones. A library may do without."""
        expected = runs.switchyard("plan", self.config)
        self.assertEqual(expected.code, 0, expected)
        for call in (*range(1, 250), *range(250, 2000, 23)):
            with self.subTest(call=call):
                finished = runs.switchyard("plan", self.config, environment=runs.fault("new", call, "fail"))
                self.assertIn(finished.code, (0, 4), finished)
                if finished.code == 0:
                    self.assertEqual(finished.out, expected.out)
                else:
                    self.assertEqual((finished.out, finished.err.count("switchyard error: OutOfMemory: ")), ("", 1), finished)

    def test_memory_that_runs_out_anywhere(self):
        """Also within a library that does not check what it is given: oneDNN 2.6 crashes there."""
        for mebibytes in range(350, 1150, 50):
            with self.subTest(mebibytes=mebibytes):
                limit = mebibytes << 20
                done = subprocess.run(
                    [str(runs.binary()), "train", str(self.config), f"--run.dir={self.new_path()}", "--run.threads=16"],
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)), timeout=runs.HANGS_SECONDS,
                    stdin=subprocess.DEVNULL, capture_output=True, text=True)
                # 3: libhdf5 does not say that what it lacked for a checkpoint was memory.
                self.assertIn(done.returncode, (0, 3, 4), done)
                self.assertEqual(done.stderr.count("switchyard error: "), int(done.returncode != 0), done)

    def test_each_process_of_a_launch_does_its_work(self):
        """One launch checks many files, a task each."""
        torn = self.new_path("torn.h5")
        torn.write_bytes(self.file.read_bytes()[:9000])
        for variable in ("OMPI_COMM_WORLD_RANK", "SLURM_PROCID"):
            environment = {"OMPI_COMM_WORLD_SIZE": "2"} if variable.startswith("OMPI") else {"SLURM_STEP_NUM_TASKS": "2"}
            with self.subTest(variable=variable):
                for command, code in ((("verify", torn), 3), (("verify", self.file), 0), (("diff", self.file, torn), 3),
                                      (("inspect", torn), 3), (("bogus",), 2)):
                    finished = runs.switchyard(*command, environment={**environment, variable: "1"})
                    self.assertEqual(finished.code, code, finished)
                page = self.new_path("page.html")
                self.expect(runs.switchyard("report", self.run_folder, f"--out={page}",
                                            environment={**environment, variable: "1"}), 0)
                self.assertTrue(page.exists())


if __name__ == "__main__":
    if os.getuid() != 0:
        del Streams.test_threads_that_cannot_start  # another user is needed to be one with a limit
    runs.main()
