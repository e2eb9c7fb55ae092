"""A Slurm of the three hosts of hosts.py: munged and slurmd on each, slurmctld on the first."""

import os
import subprocess
import time

import hosts

# No control groups: a namespace may not make any. All else that is not a path or a name is Slurm's default, but for the
# processors, which this machine may not have. Jobs go to the first host last, since it must not be lost.
CONFIGURATION = """ClusterName=three
SlurmctldHost=node1(10.77.0.1)
SlurmUser=root
AuthType=auth/munge
{more}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
NodeName=node1 NodeAddr=10.77.0.1 CPUs=8 Weight=2
NodeName=node[2-3] NodeAddr=10.77.0.[2-3] CPUs=8
PartitionName=all Nodes=ALL Default=YES State=UP
"""
DAEMONS = ("munged", "slurmctld", "slurmscriptd", "slurmd")


class Slurm(hosts.Hosts):
    def __init__(self, folder, more=""):
        """more: lines of slurm.conf."""
        super().__init__(folder)
        try:
            self.start_daemons(more)
        except BaseException:
            self.close()
            raise

    def start_daemons(self, more):
        self.conf = self.folder / "slurm.conf"
        self.conf.write_text(CONFIGURATION.format(folder=self.folder, more=more))
        (self.folder / "mpi.conf").write_text("PMIxCliTmpDirBase=/run\n")  # each host's own; /tmp is that of all
        (self.folder / "state").mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        with open(self.folder / "daemons.log", "w") as log:
            for host in self.hosts:
                host.call("mkdir", "/run/munge")
                subprocess.run(host.inside("munged", "--force", f"--key-file={key}", "--log-file=/run/munge/log",
                                           "--pid-file=/run/munge/pid", "--seed-file=/run/munge/seed"),
                               check=True, stdout=log, stderr=log)
            for host, program, *words in ((self.hosts[0], "slurmctld"), *((host, "slurmd", "-N", host.name)
                                                                         for host in self.hosts)):
                subprocess.run(host.inside(program, "-f", self.conf, *words), check=True, stdin=subprocess.DEVNULL,
                               stdout=log, stderr=log)
        self.wait_for(lambda: self.ask("sinfo", "--noheader", "--format=%D %t") == "3 idle")

    def wait_for(self, condition, limit_seconds=hosts.LIMIT_SECONDS):
        end = time.monotonic() + limit_seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(self.ask("scontrol", "show", "jobs") + self.ask("sinfo", "--long", "--Node"))
            time.sleep(0.2)

    def ask(self, *words):
        """A command of Slurm on the first host, in the hosts' folder; what it says."""
        at = ("env", f"--chdir={self.folder}", f"SLURM_CONF={self.conf}")
        return subprocess.run(self.hosts[0].inside(*at, *words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True).stdout.strip()

    def job(self, number):
        """The properties of a job."""
        words = self.ask("scontrol", "--oneliner", "show", "job", number).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def left_of_jobs(self, host):
        return [line for line in host.left() if not any(daemon in line for daemon in DAEMONS)]
