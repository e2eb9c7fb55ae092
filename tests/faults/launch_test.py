"""launch/run.sh gives back the ranks' exit code, turns TERM, INT and HUP into an orderly stop, and adds no noise.

Arguments: the root of the project and the program launch_rank."""

import fcntl
import os
import pathlib
import platform
import pty
import re
import signal
import subprocess
import sys
import tempfile
import termios
import time
import unittest

RANK = sys.argv.pop(2)
ROOT = pathlib.Path(sys.argv.pop(1)).resolve()
RUN = str(ROOT / "launch" / "run.sh")
HANGS_SECONDS = 300
NODE = platform.node().split(".")[0]
AGENT = """#!/bin/bash
shift
rm -f {folder}/program
exec bash -c "$*"
"""


def run(*arguments, **environment):
    """(code, standard output, standard error) of launch/run.sh with these arguments."""
    done = subprocess.run([RUN, *arguments], capture_output=True, text=True, timeout=HANGS_SECONDS,
                          env={**os.environ, **environment})
    return done.returncode, done.stdout, done.stderr


class ExitCodes(unittest.TestCase):
    def test_of_the_ranks_come_back_without_noise(self):
        for code in [0, 3, 75]:
            self.assertEqual(run("-n", "2", RANK, "exit", str(code)),
                             (code, "2 ranks run\nranks left together\n", ""))

    def test_of_a_watchdog_comes_back_and_the_others_end(self):
        self.assertEqual(run("-n", "3", RANK, "leave", "6"), (6, "3 ranks run\n", ""))

    def test_of_a_killed_rank_is_137_and_said(self):
        code, _, errors = run("-n", "2", RANK, "kill")
        self.assertEqual(code, 137)
        self.assertIn(f"rank 1 on node {NODE} exited on signal 9", errors)
        self.assertEqual(len(errors.splitlines()), 1, errors)

    def test_a_code_of_a_rank_is_no_signal(self):
        code, _, errors = run("-n", "2", RANK, "leave", "132")
        self.assertEqual(code, 132)
        self.assertIn("none of switchyard's", errors)
        self.assertNotIn("signal", errors)

    def test_more_ranks_than_processors(self):
        ranks = 2 * os.cpu_count() + 1
        self.assertEqual(run("-n", str(ranks), RANK, "exit", "0")[1].splitlines()[0], f"{ranks} ranks run")

    def test_the_lines_of_mpirun_can_be_seen(self):
        self.assertIn("non-zero", run("-n", "2", RANK, "exit", "3", SWITCHYARD_MPIRUN_VERBOSE="1")[2])


class Arguments(unittest.TestCase):
    def test_one_rank_count_is_not_needed(self):
        self.assertEqual(run(RANK, "exit", "3")[0], 3)

    def test_options_of_mpirun_end_with_a_double_dash(self):
        code, output, _ = run("-n", "2", "--tag-output", "--", RANK, "exit", "0")
        self.assertEqual(code, 0)
        self.assertIn("[1,0]<stdout>", output)
        code, _, errors = run("-n", "2", "--tag-output", RANK, "exit", "0")
        self.assertEqual(code, 2)
        self.assertIn("must end with --", errors)

    def test_mistakes_are_explained(self):
        for arguments, words in [([], "no program given"), (["-n", "two", RANK], "not 'two'"), (["-n", "0", RANK], "not '0'"),
                                 (["-n"], "number of ranks"), (["-n", "2", "./no-such-program"], "does not exist")]:
            code, _, errors = run(*arguments)
            self.assertEqual(code, 2, arguments)
            self.assertIn(words, errors)

    def test_works_through_sh(self):
        done = subprocess.run(["sh", RUN, "-n", "2", RANK, "exit", "3"], capture_output=True, text=True,
                              timeout=HANGS_SECONDS)
        self.assertEqual((done.returncode, done.stderr), (3, ""))

    def test_a_start_that_mpirun_refuses_is_explained(self):
        for arguments, words in [(["--mca", "rmaps", "none-such"], "none-such"),
                                 (["--host", "localhost:1"], "not enough slots"),
                                 (["--bogus"], "unknown option")]:
            code, _, errors = run("-n", "2", *arguments, "--", RANK, "exit", "0")
            self.assertNotIn(code, (0, 1))
            self.assertIn(words, errors)

    def test_a_program_that_a_node_lacks_is_no_signal(self):
        with tempfile.TemporaryDirectory() as folder:
            agent = pathlib.Path(folder, "agent")  # stands for ssh to a host that has another folder in this place
            agent.write_text(AGENT.format(folder=folder))
            agent.chmod(0o755)
            program = pathlib.Path(folder, "program")
            program.symlink_to(pathlib.Path(RANK).resolve())
            code, _, errors = run("-n", "1", "--host", "127.0.0.2:1", "--mca", "plm_rsh_agent", str(agent), "--",
                                  str(program), "exit", "0")
        self.assertEqual(code, 2, errors)
        self.assertIn("unable to launch the specified application", errors)
        self.assertIn("Node: 127.0.0.2", errors)
        self.assertNotIn("ILL", errors)


class BatchScript(unittest.TestCase):
    """launch/slurm.sbatch with stand-ins for srun and scontrol; tests/cluster has the real ones."""

    def submit(self, code, *arguments, **environment):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in [("srun", f'echo "srun $*"; exit {code}'), ("scontrol", 'echo "scontrol $*"')]:
                program = pathlib.Path(folder, name)
                program.write_text(f"#!/bin/sh\n{text}\n")
                program.chmod(0o755)
            done = subprocess.run(
                ["bash", str(ROOT / "launch" / "slurm.sbatch"), "a.ini", *arguments], capture_output=True, text=True,
                env={"PATH": f"{folder}:{os.environ['PATH']}", "SLURM_SUBMIT_DIR": folder, "SLURM_JOB_ID": "7",
                     **environment})
        return done.returncode, done.stdout, done.stderr

    def test_needs_no_processors_per_task_and_takes_a_run_folder(self):
        code, output, errors = self.submit(0, "--run.dir=here")
        self.assertEqual((code, errors), (0, ""))
        self.assertIn("--cpus-per-task=1 ", output)
        self.assertEqual(output.count("--run.dir"), 1)
        self.assertIn("--run.dir=runs/job-7", self.submit(0)[1])

    def test_requeues_on_75_always_and_on_6_three_times(self):
        for code, restarts, requeued in [(75, 9, True), (6, 2, True), (6, 3, False), (3, 0, False), (0, 0, False)]:
            result, output, _ = self.submit(code, SLURM_RESTART_COUNT=str(restarts))
            self.assertEqual((result, "scontrol requeue 7" in output), (code, requeued))


class PbsScript(unittest.TestCase):
    """launch/job.pbs with stand-ins for qsub and for the program, on this machine's mpirun."""

    def submit(self, code, arguments="a.ini", **environment):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "build/release").mkdir(parents=True)
            (folder / "launch").symlink_to(ROOT / "launch")
            for name, text in [("build/release/switchyard", f'echo "switchyard $*"; exit {code}'),
                               ("qsub", 'echo "qsub $* with $ARGUMENTS in $RUN_DIR after $RESTARTS"')]:
                program = folder / name
                program.write_text(f"#!/bin/sh\n{text}\n")
                program.chmod(0o755)
            (folder / "nodes").write_text("localhost\nlocalhost\n")
            done = subprocess.run(
                ["bash", str(ROOT / "launch" / "job.pbs")], capture_output=True, text=True,
                env={"PATH": f"{folder}:{os.environ['PATH']}", "PBS_O_WORKDIR": str(folder), "PBS_JOBID": "7.server",
                     "PBS_NODEFILE": str(folder / "nodes"), "ARGUMENTS": arguments, "HOME": str(folder), **environment})
        return done.returncode, done.stdout, done.stderr

    def test_starts_a_rank_for_each_line_of_the_list_of_hosts(self):
        code, output, errors = self.submit(0)
        self.assertEqual((code, errors), (0, ""))
        line = "switchyard train a.ini --run.resume=auto --run.max_minutes=230 --run.dir=runs/job-7"
        self.assertEqual(output.splitlines(), [line, line])
        self.assertEqual(self.submit(0, "a.ini --run.dir=here")[1].count("--run.dir"), 2)

    def test_stops_before_its_time_is_over(self):
        script = (ROOT / "launch" / "job.pbs").read_text()
        hours, minutes, _ = map(int, re.search(r"walltime=(\d+):(\d+):(\d+)", script).groups())
        self.assertLess(int(re.search(r"^minutes=(\d+)", script, re.MULTILINE)[1]), 60 * hours + minutes - 5)

    def test_submits_itself_again_on_75_always_and_on_6_three_times(self):
        for code, before, again in [(75, 9, 9), (75, 1, 1), (6, 2, 3), (6, 3, None), (3, 0, None), (0, 0, None)]:
            result, output, _ = self.submit(code, RESTARTS=str(before), RUN_DIR="runs/job-5")
            words = f"qsub -v ARGUMENTS,RUN_DIR,RESTARTS launch/job.pbs with a.ini in runs/job-5 after {again}"
            self.assertEqual(result, code)
            self.assertEqual(words in output, again is not None, output)

    def test_says_how_it_is_called(self):
        code, _, errors = self.submit(0, "")
        self.assertEqual(code, 2)
        self.assertIn("usage: ARGUMENTS=", errors)


class Signals(unittest.TestCase):
    """A terminal of its own for each run: Ctrl-C then reaches the whole process group, as it does for a person."""

    def start(self):
        self.terminal, inside = pty.openpty()

        def own_the_terminal():
            os.setsid()
            fcntl.ioctl(inside, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen([RUN, "-n", "2", RANK, "wait"], stdin=inside, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, preexec_fn=own_the_terminal)
        os.close(inside)
        self.addCleanup(os.close, self.terminal)
        self.addCleanup(self.process.kill)
        self.assertEqual(self.process.stdout.readline(), "2 ranks run\n")

    def finish(self):
        output, errors = self.process.communicate(timeout=HANGS_SECONDS)
        return self.process.returncode, output, errors

    def assert_orderly_stop(self, name):
        code, output, errors = self.finish()
        self.assertEqual((code, output), (75, "ranks left together\n"))
        self.assertIn(f"got {name}; asked the ranks to write a checkpoint", errors)

    def test_requests_of_a_scheduler_become_an_orderly_stop(self):
        for name in ["TERM", "HUP", "USR2", "XCPU"]:
            self.start()
            self.process.send_signal(getattr(signal, f"SIG{name}"))
            self.assert_orderly_stop(name)

    def test_ctrl_c_becomes_an_orderly_stop(self):
        self.start()
        os.write(self.terminal, b"\x03")
        self.assert_orderly_stop("INT")

    def test_nothing_stays_when_the_script_is_killed(self):
        self.start()
        mpirun = subprocess.run(["pgrep", "--parent", str(self.process.pid), "mpirun"], capture_output=True, text=True,
                                check=True).stdout.strip()
        self.process.kill()
        self.process.wait()
        end = time.monotonic() + HANGS_SECONDS
        while left := subprocess.run(["pgrep", "--list-full", "--session", mpirun, "--runstates", "DIRST"],
                                     capture_output=True, text=True).stdout:
            self.assertLess(time.monotonic(), end, left)
            time.sleep(0.1)

    def test_usr1_is_passed_on(self):
        self.start()
        self.process.send_signal(signal.SIGUSR1)
        self.assertEqual(self.finish(), (75, "ranks left together\n", ""))

    def test_a_second_term_ends_the_ranks_at_once(self):
        self.start()
        self.process.send_signal(signal.SIGTERM)
        self.assertIn("asked the ranks", self.process.stderr.readline())
        self.process.send_signal(signal.SIGTERM)
        code, _, errors = self.finish()
        self.assertNotIn(code, [0])
        self.assertIn("ending the ranks", errors)


if __name__ == "__main__":
    unittest.main()
