"""The same bits on every layout and through every stop, with the full-size configuration on real images."""

import pathlib
import shutil

import runs

CONFIG = pathlib.Path(__file__).resolve().parents[2] / "configs" / "fashion_mnist" / "original.ini"
# 55,000 training samples and a batch of 512: the 108th step is the short batch of 216, step 130 is in the second epoch.
KEYS = {"moe.importance": 0.2, "optim.clip_norm": 1.0, "optim.warmup_steps": 20, "optim.schedule": "cosine"}


class FashionMnist(runs.RunTest):
    train_samples = 500  # of the made-up data set, not used here
    test_samples = 100

    def run_to(self, step, ranks, threads, top_k):
        run = self.new_path()
        keys = {**KEYS, "run.dir": run, "train.max_steps": step, "run.threads": threads, "moe.top_k": top_k}
        finished = runs.switchyard("train", CONFIG, *(f"--{key}={value}" for key, value in keys.items()),
                                   ranks=ranks)
        self.expect(finished, 0)
        return run

    def check_layouts(self, top_k):
        straight = self.run_to(130, 1, 1, top_k)
        for ranks in (1, 2, 3, 4):
            for threads in (1, 2):
                if (ranks, threads) != (1, 1):
                    with self.subTest(ranks=ranks, threads=threads):
                        other = self.run_to(130, ranks, threads, top_k)
                        self.assert_same_run(straight, other)
                        shutil.rmtree(other)

    def test_layouts_dense(self):
        self.check_layouts(0)

    def test_layouts_top_2(self):
        self.check_layouts(2)

    def test_stopped_at_57_and_121(self):
        for top_k in (0, 2):
            with self.subTest(top_k=top_k):
                straight = self.run_to(200, 2, 1, top_k)
                run = self.run_to(57, 2, 1, top_k)
                self.resume(run, "--train.max_steps=121", ranks=3)
                self.resume(run, "--train.max_steps=200", ranks=1)
                self.assert_same_run(straight, run)


if __name__ == "__main__":
    runs.main()
