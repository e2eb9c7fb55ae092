"""Kills at random moments, and checkpoints with flipped bits, cut tails and zeroed stretches: nothing is lost.

Half of the tries kill one rank or all of them and go on elsewhere; the others damage the newest checkpoint of a run,
which must be found out, and go on from the one before. Both must end with the bits of a run that was left alone.
"""

import os
import signal
import time

import harness
import random_configuration
import runs

STEPS = 20
DAMAGES_PER_RUN = 8
CONFIGURATION = {
    "run": {"seed": 5, "threads": 1, "wait_seconds": 120},
    "data": {"source": "random"},
    "random": {"samples": 200, "features": 16, "classes": 4},
    "model": {"gate": "dense:8 relu dense:experts", "expert": "dense:12 relu dense:classes"},
    "moe": {"experts": 4, "top_k": 2, "importance": 0.1},
    "train": {"shards": 4, "batch_size": 20, "epochs": 2},
    "checkpoint": {"every_steps": 1, "keep_last": 3},
}


class Damage(harness.Harness):
    def __init__(self):
        super().__init__("random_damage", __doc__, default_count=60, unit="kills and damages")
        self.config = self.folder / "a.ini"
        random_configuration.write(self.config, CONFIGURATION)
        self.straight = self.folder / "straight"
        begin = time.monotonic()
        finished = harness.train(self.config, f"--run.dir={self.straight}")
        harness.expect(finished.code == 0, finished)
        self.seconds = time.monotonic() - begin

    def attempt(self, one):
        if one.random.random() < 0.5:
            self.kill_and_go_on(one)
        else:
            self.damage_and_go_on(one)

    def kill_and_go_on(self, one):
        """Up to three kills in a row before the run is let go on to its end."""
        run = one.folder / "run"
        for _ in range(one.random.randint(1, 3)):
            ranks, threads = harness.layout(one.random)
            self.start_and_kill(one.random, run, ranks, threads)
        self.go_on(one.random, run)
        harness.compare(self.straight, run)

    def start_and_kill(self, random, run, ranks, threads):
        running = runs.Running("train", self.config, f"--run.dir={run}", "--run.resume=auto", f"--run.threads={threads}",
                               ranks=ranks)
        # Some before the first checkpoint, most while checkpoints are written.
        time.sleep(random.uniform(0, 1.5 * self.seconds * max(1, ranks / 2)))
        victims = list(running.rank_pids().values())
        if not victims or running.process.poll() is not None:
            harness.expect(running.wait().code == 0, "a run that nobody touched failed")
            return
        if random.random() < 0.5:
            running.kill()
        else:
            try:
                os.kill(random.choice(victims), signal.SIGKILL)
            except ProcessLookupError:
                pass
            finished = running.wait()
            harness.expect(finished.code in (0, 137, -signal.SIGKILL), finished)
        self.count("kills")
        self.count(self.unit)

    def go_on(self, random, run):
        """With the one command for a job that is started again."""
        ranks, threads = harness.layout(random)
        finished = harness.train(self.config, f"--run.dir={run}", "--run.resume=auto", f"--run.threads={threads}", ranks=ranks)
        harness.expect(finished.code == 0, f"going on on {ranks} ranks\n{finished}")

    def damage_and_go_on(self, one):
        run = one.folder / "run"
        stop = one.random.randint(2, STEPS - 1)
        finished = harness.train(self.config, f"--run.dir={run}", f"--train.max_steps={stop}")
        harness.expect(finished.code == 0, finished)
        newest = runs.newest_checkpoint(run)
        whole = newest.read_bytes()
        for _ in range(DAMAGES_PER_RUN):
            what, content = damaged(one.random, whole)
            newest.write_bytes(content)
            finished = runs.switchyard("verify", newest)
            harness.expect(finished.code == 3 and finished.err.count("DataError: ") == 1, f"{what} of {newest}\n{finished}")
            self.count(what)
            self.count(self.unit)
        ranks, threads = harness.layout(one.random)
        finished = harness.resume(run, "--train.max_steps=0", f"--run.threads={threads}", ranks=ranks)
        harness.expect(finished.code == 0, finished)
        harness.compare(self.straight, run)


def damaged(random, whole):
    """What was done, and content that differs from `whole`."""
    content = bytearray(whole)
    while content == whole:
        what = random.choice(("flips", "truncations", "zeroed stretches"))
        at = random.randrange(len(whole))
        if what == "flips":
            content[at] ^= 1 << random.randrange(8)
        elif what == "truncations":
            del content[at:]
        else:
            size = min(len(whole) - at, random.choice((1, 16, 512, 4096)))
            content[at:at + size] = bytes(size)
    return what, bytes(content)


if __name__ == "__main__":
    damage = Damage()
    damage.main(damage.attempt)
