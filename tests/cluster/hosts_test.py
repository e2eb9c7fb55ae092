"""Three hosts under ssh with two ranks each: what differs, is missing or goes down ends with its code and is named.

Arguments: the root of the project and the program. Needs root.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import hosts

BINARY = pathlib.Path(sys.argv.pop(2)).resolve()
ROOT = pathlib.Path(sys.argv.pop(1)).resolve()
WAIT_SECONDS = 4
LIMIT_SECONDS = 240  # MPI may take 120 s to start before the watchdog ends it
CONFIG = """[run]
threads = 1
wait_seconds = {wait}
[data]
source = random
random_samples = 192
random_features = 8
random_classes = 3
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
        cls.config = cls.folder / "a.ini"
        cls.config.write_text(CONFIG.format(width=4, wait=WAIT_SECONDS))
        cls.hosts = hosts.Hosts(cls.folder)
        cls.addClassCleanup(cls.hosts.close)
        cls.last = cls.hosts.hosts[-1]
        cls.runs = 0

    def start(self, *settings, **environment):
        type(self).runs += 1
        self.run_folder = self.folder / f"run{self.runs}"
        settings = [f"--run.dir={self.run_folder}", *settings]
        process = self.hosts.start(ROOT, self.program, "train", self.config, *settings,
                                   SWITCHYARD_LAUNCH_GRACE_SECONDS="3", **environment)
        self.addCleanup(process.kill)
        return process

    def check(self, process, codes, *fragments, lost=None):
        """The run ends with one of the codes, says the fragments, and leaves nothing; on a lost host no rank."""
        try:
            _, errors = process.communicate(timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            self.fail(f"still there after {LIMIT_SECONDS} s: {process.communicate()}")
        self.assertIn(process.returncode, codes, errors)
        for fragment in fragments:
            self.assertIn(fragment, errors)
        end = time.monotonic() + LIMIT_SECONDS
        for host in self.hosts.hosts:
            while lines := [line for line in host.left() if host is not lost or "orted" not in line]:
                self.assertLess(time.monotonic(), end, (host.name, lines))
                time.sleep(0.2)

    def replaced(self, path, by):
        self.last.replace(path, by)
        self.addCleanup(self.last.restore, path)

    def wait_for_steps(self):
        end = time.monotonic() + LIMIT_SECONDS
        while not (self.run_folder / "metrics.jsonl").exists() or not (self.run_folder / "metrics.jsonl").stat().st_size:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.1)

    def pull(self):
        self.hosts.plug(self.last, "down")
        self.addCleanup(self.hosts.plug, self.last, "up")

    def test_undisturbed(self):
        self.check(self.start("--train.max_steps=4"), [0])

    def test_another_width_on_one_host(self):
        other = self.folder / "other.ini"
        other.write_text(CONFIG.format(width=5, wait=WAIT_SECONDS))
        self.replaced(self.config, other)
        self.check(self.start("--train.max_steps=4"), [2], "rank 0 (node1)", "node3", "model.gate")

    def test_a_missing_program_on_one_host(self):
        nothing = self.folder / "nothing"
        nothing.touch()
        self.replaced(self.program, nothing)
        self.check(self.start("--train.max_steps=4"), [2], str(self.program), self.last.address, "on node1")

    def test_a_link_that_goes_down_in_the_middle(self):
        process = self.start("--train.epochs=1000000")
        self.wait_for_steps()
        self.pull()
        self.check(process, [6], "on node1 has waited", "node3 and the network", lost=self.last)

    def test_a_link_that_is_down_at_the_start(self):
        self.pull()
        self.check(self.start("--train.max_steps=4"), [2], self.last.address, "on node1")

    def test_a_network_that_is_the_same_on_every_host(self):
        for host in self.hosts.hosts:
            host.call("ip", "link", "add", "docker0", "type", "bridge")
            host.call("ip", "addr", "add", "172.17.0.1/16", "dev", "docker0")
            host.call("ip", "link", "set", "docker0", "up")
            self.addCleanup(host.call, "ip", "link", "del", "docker0")
        self.check(self.start("--train.max_steps=4"), [6], " on node1 has waited", "btl_tcp_if_include")


if __name__ == "__main__":
    unittest.main()
