"""One seed gives the same bits of a token mixture on any number of ranks and threads, straight and after a move."""

import runs
import token_runs

STEPS = 8


class Layouts(token_runs.TokenTest):
    KEYS = dict(moe_top_k=2, moe_importance=0.1, moe_noise="normal", optim_clip_norm=1.0, train_batch_size=47,
                train_max_steps=STEPS)

    straight_runs = {}  # on one rank and thread; tests share that of KEYS

    def straight_run(self, **keys):
        keys = {**self.KEYS, **keys}
        if str(keys) not in self.straight_runs:
            self.straight_runs[str(keys)] = run = self.train(ranks=1, **keys)
            losses = [m["loss"] for m in runs.metrics(run) if m["kind"] == "step"]
            self.assertEqual(len(losses), STEPS)
            self.assertLess(losses[-1], losses[0], "the run learned nothing: equal bits would prove nothing")
        return self.straight_runs[str(keys)], keys

    def check(self, layouts, **keys):
        straight, keys = self.straight_run(**keys)
        for ranks, threads in layouts:
            with self.subTest(ranks=ranks, threads=threads):
                self.assert_same_run(straight, self.train(ranks=ranks, run_threads=threads, **keys))
        return straight

    def test_ranks_and_threads(self):
        straight = self.check([(1, 2), (2, 1), (3, 2), (5, 1), (8, 1)])
        found = runs.metrics(straight)[0]
        self.assertEqual(found["samples"], self.KEYS["train_batch_size"] * token_runs.WINDOW)  # a row is one

    def test_parts(self):
        whole, _ = self.straight_run()
        for parts in (2, 4):
            straight = self.check([(2, 2), (3, 1), (5, 2)], train_parts=parts)
            # A part's regulariser is over its own rows, so it is not the computation of the whole batch.
            finished = runs.switchyard("diff", runs.newest_checkpoint(whole), runs.newest_checkpoint(straight))
            self.assertEqual(finished.code, 1, finished)

    def test_moved(self):
        straight, keys = self.straight_run()
        for first, then in ((3, 2), (1, 5), (8, 1)):
            with self.subTest(first=first, then=then):
                run = self.train(ranks=first, **{**keys, "train_max_steps": 3})
                self.resume(run, f"--train.max_steps={STEPS}", ranks=then)
                self.assert_same_run(straight, run)

    def test_adamw(self):
        """Embedding and norms, which do not decay, are cut into slices with what else is in the trunk."""
        keys = dict(optim_name="adamw", optim_weight_decay=0.1, optim_beta2=0.95, train_parts=2)
        straight = self.check([(3, 1)], **keys)
        for decaying in ("embedding", "norm bias"):
            other = self.train(**{**self.KEYS, **keys, "optim_decay_on": decaying})
            finished = runs.switchyard("diff", runs.newest_checkpoint(straight), runs.newest_checkpoint(other))
            self.assertEqual(finished.code, 1, finished)

    def test_bias(self):
        """Loads are those of the whole batch, and the bias goes on where it was."""
        for parts in (1, 3):
            straight, keys = self.straight_run(moe_bias_rate=0.01, moe_scores="sigmoid", moe_noise="none", train_parts=parts)
            self.check([(3, 2), (5, 1)], **keys)
            run = self.train(ranks=3, **{**keys, "train_max_steps": 3})
            self.resume(run, f"--train.max_steps={STEPS}", ranks=2)
            self.assert_same_run(straight, run)

    def test_cosines(self):
        for parts in (1, 3):
            self.check([(3, 2), (5, 1)], model_gate="cosine:experts", train_parts=parts)

    def test_short_last_batch(self):
        """An epoch of a few long windows, of which the last batch has fewer than there are ranks, and a batch of the next."""
        window = 512
        of_all = self.train(data_window=window, train_batch_size=10**6, train_max_steps=1)
        samples = runs.metrics(of_all)[0]["samples"] // window
        size = next(size for size in range(samples // 6, samples) if samples % size == 3)
        steps = samples // size + 2
        keys = dict(moe_top_k=1, data_window=window, train_batch_size=size, train_max_steps=steps, train_epochs=2)
        straight = self.train(ranks=1, **keys)
        found = [m["samples"] for m in runs.metrics(straight) if m["kind"] == "step"]
        self.assertEqual(found[-2:], [3 * window, size * window])
        for ranks, threads in ((2, 2), (5, 1)):
            with self.subTest(ranks=ranks, threads=threads):
                self.assert_same_run(straight, self.train(ranks=ranks, run_threads=threads, **keys))

    def test_all_experts(self):
        self.check([(3, 2)], moe_top_k=0, moe_noise="none")


if __name__ == "__main__":
    runs.main()
