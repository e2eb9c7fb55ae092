"""launch/slurm.sbatch on a Slurm of three hosts: stopped, out of time or without a host, it goes on to the same bits.

Arguments: the root of the project and the program. Needs root.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import slurm

BINARY = pathlib.Path(sys.argv.pop(2)).resolve()
ROOT = pathlib.Path(sys.argv.pop(1)).resolve()
LIMIT_SECONDS = 900  # Slurm gives up a node after 300 s, and a requeued job waits for 120 s
CONFIG = """[run]
threads = 1
wait_seconds = 5
[data]
source = random

[random]
samples = 192
features = 8
classes = 3
[model]
gate = dense:4 relu dense:experts
expert = dense:4 relu dense:classes
[moe]
experts = 4
[train]
shards = 4
batch_size = 48
max_steps = {max_steps}
epochs = 1000000
[checkpoint]
every_steps = {every_steps}
"""


class ThreeNodes(unittest.TestCase):
    MORE = ""  # of slurm.conf

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="switchyard_slurm_"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.program = self.folder / "build" / "release" / "switchyard"
        self.program.parent.mkdir(parents=True)
        shutil.copy(BINARY, self.program)
        self.script = self.folder / "job.sbatch"
        shutil.copy(ROOT / "launch" / "slurm.sbatch", self.script)
        self.write_config(max_steps=1000000000)
        self.slurm = slurm.Slurm(self.folder, self.MORE)
        self.addCleanup(self.slurm.close)

    def write_config(self, max_steps, every_steps=1000):
        (self.folder / "a.ini").write_text(CONFIG.format(max_steps=max_steps, every_steps=every_steps))

    def submit(self, *options, arguments=()):
        answer = self.slurm.ask("sbatch", "--parsable", "--output=job.log", *options, self.script, "a.ini", *arguments)
        self.assertRegex(answer, r"^\d+$")
        self.job = answer
        self.run_folder = self.folder / "runs" / f"job-{answer}"

    def wait_for(self, condition):
        def holds():
            if condition():
                return True
            # Slurm forgets a job some minutes after its end.
            if self.slurm.job(self.job).get("JobState") in ("FAILED", "CANCELLED", "TIMEOUT"):
                raise TimeoutError(self.slurm.ask("scontrol", "show", "jobs"))
            return False

        try:
            self.slurm.wait_for(holds, LIMIT_SECONDS)
        except TimeoutError as error:
            log = self.folder / "job.log"
            self.fail(f"{error}\n{log.read_text() if log.exists() else 'no job.log'}")

    def has_steps(self):
        file = self.run_folder / "metrics.jsonl"
        return file.exists() and file.stat().st_size > 0

    def latest(self, run):
        return run / "checkpoints" / (run / "checkpoints" / "latest").read_text().strip()

    def expect_requeued(self):
        self.wait_for(lambda: self.slurm.job(self.job)["Restarts"] != "0")

    def expect_same_bits_at_the_end(self):
        """The job that waits in the queue gets an end; its last checkpoint is that of a run of one process."""
        steps = self.expect_completed()
        self.expect_nobody_left()
        self.expect_same_bits(steps)

    def expect_completed(self):
        steps = int(self.latest(self.run_folder).stem.removeprefix("step-")) + 20
        self.write_config(steps)
        self.wait_for(lambda: self.slurm.job(self.job)["JobState"] == "COMPLETED")
        return steps

    def expect_nobody_left(self):
        for host in self.slurm.hosts:
            self.wait_for(lambda: not self.slurm.left_of_jobs(host))

    def expect_same_bits(self, steps):
        straight = self.folder / "straight"
        subprocess.run([self.program, "train", self.folder / "a.ini", f"--run.dir={straight}"], check=True,
                       capture_output=True)
        ends = [self.latest(run) for run in (self.run_folder, straight)]
        self.assertEqual({end.stem for end in ends}, {f"step-{steps:07}"})
        subprocess.run([self.program, "diff", *ends], check=True, capture_output=True)


class Stopped(ThreeNodes):
    # A job that was requeued waits as long as a credential lives, and for the scheduler: 120 s and 60 s are the defaults.
    MORE = "AuthInfo=cred_expire=5\nSchedulerParameters=sched_interval=2,bf_interval=2"

    def test_usr1_without_processors_per_task_in_a_named_folder(self):
        lines = self.script.read_text().splitlines(keepends=True)
        self.script.write_text("".join(line for line in lines if not line.startswith("#SBATCH --cpus-per-task")))
        run_folder = self.folder / "named"
        self.submit(arguments=[f"--run.dir={run_folder}"])
        self.run_folder = run_folder
        self.wait_for(self.has_steps)
        self.slurm.ask("scancel", "--signal=USR1", self.job)
        self.expect_requeued()
        self.expect_same_bits_at_the_end()

    def test_time_limit(self):
        self.submit("--cpus-per-task=2", "--time=2", "--signal=USR1@60")
        self.expect_requeued()
        self.expect_same_bits_at_the_end()


class NodeLost(ThreeNodes):
    def test_link_down_with_default_time_outs(self):
        self.write_config(1000000000, every_steps=500)
        self.submit("--cpus-per-task=2")
        self.wait_for(lambda: (self.run_folder / "checkpoints" / "latest").exists())
        self.assertIn("node[2-3]", self.slurm.job(self.job)["NodeList"])
        lost = self.slurm.hosts[-1]
        self.slurm.plug(lost, "down")
        self.expect_requeued()
        steps = self.expect_completed()
        self.expect_same_bits(steps)
        self.slurm.plug(lost, "up")  # what is left on a host that nobody reaches ends when it hears of it
        self.expect_nobody_left()


if __name__ == "__main__":
    unittest.main()
