"""Three hosts under ssh with two ranks each: what differs, is missing or goes down ends with its code and is named.

Arguments: the root of the project, the program and the library of faults. Needs root.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import hosts
import runs

SHIM = pathlib.Path(sys.argv.pop(3)).resolve()
BINARY = pathlib.Path(sys.argv.pop(2)).resolve()
ROOT = pathlib.Path(sys.argv.pop(1)).resolve()
WAIT_SECONDS = 4
GRACE_SECONDS = 10
LIMIT_SECONDS = 240  # MPI may take 120 s to start before the watchdog ends it
CONFIG = """[run]
threads = 1
wait_seconds = {wait}
[data]
dir = {folder}/data
validation_samples = 48
[model]
gate = dense:{width} relu dense:experts
expert = dense:4 relu dense:classes
[moe]
experts = 6
[train]
shards = 6
batch_size = 48
[checkpoint]
every_steps = 1000
"""


class ThreeHosts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="switchyard_hosts_"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.program = cls.folder / "switchyard"
        shutil.copy(BINARY, cls.program)
        cls.data = cls.folder / "data"
        runs.write_data_set(cls.data, 240, 48)
        cls.config = cls.folder / "a.ini"
        cls.config.write_text(cls.text())
        cls.hosts = hosts.Hosts(cls.folder)
        cls.addClassCleanup(cls.hosts.close)
        cls.last = cls.hosts.hosts[-1]

    @classmethod
    def text(cls, width=4):
        return CONFIG.format(wait=WAIT_SECONDS, folder=cls.folder, width=width)

    def setUp(self):
        self.runs = self.folder / self._testMethodName
        self.runs.mkdir()
        self.run_folder = self.runs / "run"

    def start(self, *settings, **others):
        process = self.hosts.start(ROOT, self.program, "train", self.config, f"--run.dir={self.run_folder}", *settings,
                                   SWITCHYARD_LAUNCH_GRACE_SECONDS=str(GRACE_SECONDS), **others)
        self.addCleanup(process.kill)
        return process

    def start_with_fault(self, fault, *settings):
        """The mark is made when the fault is delivered."""
        self.mark = self.runs / "mark"
        shim = {"LD_PRELOAD": SHIM, "SWITCHYARD_SHIM": fault, "SWITCHYARD_SHIM_MARK": self.mark}
        return self.start(*settings, options=[word for item in shim.items() for word in ("-x", "=".join(map(str, item)))])

    def wait_for(self, condition):
        end = time.monotonic() + LIMIT_SECONDS
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    def has_steps(self):
        file = self.run_folder / "metrics.jsonl"
        return file.exists() and file.stat().st_size > 0

    def expect_nothing_left(self, hidden=None):
        for host in self.hosts.hosts:
            self.wait_for(lambda: not [line for line in host.left() if not hidden or hidden not in line])

    def check(self, process, code, *fragments, hidden=None):
        """The run ends with the code, says the fragments, and leaves no process on any host."""
        try:
            _, errors = process.communicate(timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            self.fail(f"still there after {LIMIT_SECONDS} s: {process.communicate()}")
        self.assertEqual(process.returncode, code, errors)
        for fragment in fragments:
            self.assertIn(fragment, errors)
        self.expect_nothing_left(hidden)

    def replaced(self, path, by):
        self.last.replace(path, by)
        self.addCleanup(self.last.restore, path)

    def pull(self):
        self.hosts.plug(self.last, "down")
        self.addCleanup(self.hosts.plug, self.last, "up")

    def check_pulled(self, process, *fragments):
        """As check, for a run during which the link went down: orted waits on the lost host until the link is back."""
        self.check(process, 6, *fragments, hidden="orted")
        self.hosts.plug(self.last, "up")
        self.expect_nothing_left()


class WhatDiffers(ThreeHosts):
    def test_undisturbed(self):
        self.check(self.start("--train.max_steps=4"), 0)

    def test_another_width_on_one_host(self):
        other = self.runs / "other.ini"
        other.write_text(self.text(width=5))
        self.replaced(self.config, other)
        self.check(self.start(), 2, "model.gate is dense:4", "rank 0 (node1)", "dense:5", "rank 4 (node3)")

    def test_another_build_on_one_host(self):
        notes = subprocess.run(["readelf", "-n", BINARY], check=True, capture_output=True, text=True).stdout
        build_id = bytes.fromhex(re.search("Build ID: ([0-9a-f]+)", notes)[1])
        other = self.runs / "other"
        other.write_bytes(BINARY.read_bytes().replace(build_id, bytes(len(build_id))))
        other.chmod(0o755)
        self.replaced(self.program, other)
        self.check(self.start(), 2, build_id.hex(), "rank 0 (node1)", "rank 4 (node3)")

    def test_other_data_on_one_host(self):
        other = self.runs / "other"
        runs.write_data_set(other, 240, 48, seed=2)
        self.replaced(self.data, other)
        self.check(self.start(), 3, "rank 0 (node1)", "rank 4 (node3)", "data")

    def test_a_run_folder_that_one_host_lacks(self):
        other = self.runs.with_suffix(".other")
        other.mkdir()
        self.replaced(self.runs, other)
        self.check(self.start(), 3, str(self.run_folder), "rank 4 on node3", "rank 0 on node1")

    def test_a_program_that_one_host_lacks(self):
        nothing = self.runs / "nothing"
        nothing.touch()
        self.replaced(self.program, nothing)
        self.check(self.start(), 2, str(self.program), self.last.address, "launch/run.sh on node1")


class LinkGoesDown(ThreeHosts):
    def test_before_the_start(self):
        self.pull()
        self.check(self.start(), 2, self.last.address, "launch/run.sh on node1")

    def test_in_the_middle(self):
        process = self.start("--train.epochs=1000000")
        self.wait_for(self.has_steps)
        self.pull()
        self.check_pulled(process, "on node1 has waited", "node3 and the network")

    # A call of one rank takes a second longer, and in this second the link goes down.
    def pull_during(self, function, *fragments):
        process = self.start_with_fault(f"{function}:1:slow:0", "--train.max_steps=4")
        self.wait_for(lambda: self.mark.exists() or process.poll() is not None)
        self.pull()
        self.check_pulled(process, "on node1", *fragments)

    def test_while_mpi_starts(self):
        self.pull_during("MPI_Init_thread", "lost communication", self.last.address)

    def test_while_a_checkpoint_is_saved(self):
        self.pull_during("fsync", "has waited", "node3")

    def test_while_mpi_ends(self):
        self.pull_during("MPI_Finalize", f"no answer from {self.last.address}")


class SameAddressEverywhere(ThreeHosts):
    def test_docker0(self):
        for host in self.hosts.hosts:
            host.call("ip", "link", "add", "docker0", "type", "bridge")
            host.call("ip", "addr", "add", "172.17.0.1/16", "dev", "docker0")
            host.call("ip", "link", "set", "docker0", "up")
            self.addCleanup(host.call, "ip", "link", "del", "docker0")
        self.check(self.start(), 6, " on node1 has waited", "btl_tcp_if_include", "oob_tcp_if_include")


if __name__ == "__main__":
    unittest.main()
