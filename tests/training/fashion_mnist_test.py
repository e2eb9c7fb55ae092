"""The same bits on other layouts and through stops, with the full-size configuration on real images. layout_test.py has
every layout, on a small one."""

import pathlib

import runs

CONFIG = pathlib.Path(__file__).resolve().parents[2] / "configs" / "fashion_mnist" / "original.ini"
# 55,000 training samples and a batch of 512: the 108th step is the short batch of 216, step 130 is in the second epoch.
STEPS = 130
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

    def check(self, top_k, layouts):
        straight = self.run_to(STEPS, 1, 1, top_k)
        for ranks, threads in layouts:
            with self.subTest(ranks=ranks, threads=threads):
                self.assert_same_run(straight, self.run_to(STEPS, ranks, threads, top_k))
        run = self.run_to(57, 2, 1, top_k)
        self.resume(run, "--train.max_steps=121", ranks=3)
        self.resume(run, f"--train.max_steps={STEPS}", ranks=1)
        self.assert_same_run(straight, run)

    def test_dense(self):
        self.check(0, ((3, 2), (4, 1)))

    def test_top_2(self):
        self.check(2, ((1, 2), (3, 1)))


if __name__ == "__main__":
    runs.main()
