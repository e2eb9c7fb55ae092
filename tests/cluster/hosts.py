"""Three hosts on one machine: network, process, mount and name spaces of their own, joined by a bridge, with an sshd each.

All traffic stays inside these namespaces. Leaving the `with` block ends every process of the hosts and removes them, and
so does the end of the process that made them, whichever way it ends: the hosts' processes are killed with it.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
import time

LIMIT_SECONDS = 90
SSHD = """Port 22
HostKey {folder}/key
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
"""


def call(*words, **options):
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True, **options).stdout


class Host:
    def __init__(self, number, folder):
        self.name = f"node{number}"
        self.address = f"10.77.0.{number}"
        self.link = f"n{number}"
        # Its own /run and shared memory; /tmp is storage that all hosts share.
        # The host's first process: everything of the host ends with it, and it ends with this process.
        setup = (f"hostname {self.name}; ip link set lo up; mount -t tmpfs none /run; "
                 f"mount -t tmpfs none /dev/shm; mkdir /run/sshd; "
                 f"touch {folder}/{self.name}; exec /usr/sbin/sshd -D -e -f {folder}/sshd_config 2>{folder}/{self.name}.log")
        self.outer = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--uts", "--mount", "--pid", "--fork",
             "--kill-child=KILL", "--mount-proc", "bash", "-c", setup], stdin=subprocess.DEVNULL)
        end = time.monotonic() + LIMIT_SECONDS
        while not (folder / self.name).exists():
            if time.monotonic() > end:
                raise TimeoutError(f"{self.name} does not start")
            time.sleep(0.05)
        self.first = call("pgrep", "--parent", self.outer.pid).strip()

    def inside(self, *words):
        """The command line that runs these words on the host."""
        return ["nsenter", "--target", self.first, "--net", "--uts", "--mount", "--pid", *map(str, words)]

    def call(self, *words):
        return call(*self.inside(*words))

    def replace(self, path, by):
        """On this host, another file or folder is in this place until restore()."""
        self.call("mount", "--bind", by, path)

    def restore(self, path):
        self.call("umount", path)

    def left(self):
        """Lines of the processes that are neither sshd nor this look."""
        lines = self.call("ps", "-eo", "pid,stat,args").splitlines()[1:]
        return [line for line in lines if "sshd" not in line and "ps -eo" not in line]


class Hosts:
    def __init__(self, folder, count=3):
        self.folder = pathlib.Path(folder)
        call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / "key")
        (self.folder / "sshd_config").write_text(SSHD.format(folder=self.folder))
        self.hosts = []
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self.close)
            for number in range(1, count + 1):
                self.hosts.append(Host(number, self.folder))
            self.join()
            on_failure.pop_all()
        (self.folder / "hostfile").write_text("".join(f"{host.address} slots=2\n" for host in self.hosts))

    def join(self):
        """A bridge on the first host; the other hosts are plugged into it."""
        first = self.hosts[0]
        first.call("ip", "link", "add", "bridge", "type", "bridge")
        first.call("ip", "addr", "add", f"{first.address}/24", "dev", "bridge")
        first.call("ip", "link", "set", "bridge", "up")
        for host in self.hosts[1:]:
            call("nsenter", "--target", first.first, "--net", "ip", "link", "add", host.link, "type", "veth", "peer", "name",
                 "eth", "netns", host.first)
            first.call("ip", "link", "set", host.link, "master", "bridge", "up")
            host.call("ip", "addr", "add", f"{host.address}/24", "dev", "eth")
            host.call("ip", "link", "set", "eth", "up")

    def close(self):
        for host in self.hosts:
            host.outer.send_signal(signal.SIGKILL)
            host.outer.wait()

    def plug(self, host, state):
        """state: up or down."""
        self.hosts[0].call("ip", "link", "set", host.link, state)

    def start(self, root, *words, ranks=6, options=(), **environment):
        """launch/run.sh on the first host, with all hosts; options are mpirun's."""
        ssh = (f"-i {self.folder}/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "
               "-o ConnectTimeout=5")
        command = self.hosts[0].inside(
            root / "launch" / "run.sh", "-n", ranks, "--hostfile", self.folder / "hostfile", "--mca", "plm_rsh_args", ssh,
            "--mca", "orte_keep_fqdn_hostnames", "1", "--bind-to", "none", *options, "--", *words)
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={**os.environ, **environment})
