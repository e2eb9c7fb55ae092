"""Replicas of experts: a gradient added up from blocks of rows, and what no number of replicas changes."""

import runs
import token_runs
import transformer_test

BLOCKS = 6
STEPS = 6


class Gradients(transformer_test.OfTransformer):
    """A step beside float64, of blocks."""

    def check_blocks(self, **keys):
        self.check(ranks=(0,), moe_gradient_blocks=2, **keys)
        self.check(ranks=(3,), moe_gradient_blocks=3, moe_replicas=3, **keys)

    def test_of_few_rows(self):
        for top_k in (1, 2, 0):
            with self.subTest(top_k=top_k):
                self.check_blocks(moe_top_k=top_k)

    def test_of_sub_tokens_and_parts(self):
        self.check_blocks(moe_top_k=2, moe_sub_heads=3, moe_shared_hidden=5, moe_balance=0.2, train_parts=2, train_recompute="yes")

    def test_of_capacity(self):
        self.check_blocks(moe_top_k=2, moe_capacity=0.8)

    def test_of_many_rows(self):
        """Of several tiles for each expert."""
        documents = [d for d in self.documents if len(d) == len(self.documents[0])][:6]
        self.check(documents=documents, ranks=(1,), moe_gradient_blocks=3, moe_top_k=4)
        self.check(documents=documents, ranks=(4,), moe_gradient_blocks=5, moe_replicas=2, moe_top_k=0)


class Layouts(token_runs.TokenTest):
    base_keys = transformer_test.KEYS
    RUN = dict(moe_top_k=2, moe_importance=0.1, moe_gradient_blocks=BLOCKS, optim_clip_norm=1.0, train_batch_size=75,
               train_max_steps=STEPS)
    # Rows of several tiles for each expert; of one, of few rows, to all experts; more ranks than experts.
    MANY_ROWS = {}
    FEW_ROWS = dict(moe_top_k=0, train_batch_size=3)
    FEW_EXPERTS = dict(moe_experts=2, moe_top_k=1, optim_name="normalised_sgd", optim_clip_norm=0, optim_learning_rate=0.1)
    SUB_TOKENS_AND_PARTS = dict(train_parts=3, moe_sub_heads=3, moe_shared_hidden=9)

    def check(self, layouts, more):
        keys = {**self.RUN, **more}
        straight = self.train(ranks=1, **keys)
        losses = [m["loss"] for m in runs.metrics(straight) if m["kind"] == "step"]
        self.assertLess(losses[-1], losses[0], "the run learned nothing: equal bits would prove nothing")
        for ranks, replicas, threads in layouts:
            with self.subTest(ranks=ranks, replicas=replicas, threads=threads):
                self.assert_same_run(straight, self.train(ranks=ranks, run_threads=threads, moe_replicas=replicas, **keys))
        moved = self.train(ranks=6, **{**keys, "moe_replicas": 3, "train_max_steps": 2})
        self.resume(moved, "--train.max_steps=4", "--moe.replicas=2", ranks=4)
        self.resume(moved, f"--train.max_steps={STEPS}", "--moe.replicas=1", ranks=3)
        self.assert_same_run(straight, moved)

    def test_of_many_rows(self):
        self.check(((2, 2, 1), (3, 3, 2), (6, 1, 1), (6, 2, 2)), self.MANY_ROWS)

    def test_of_few_rows(self):
        self.check(((4, 2, 1),), self.FEW_ROWS)

    def test_of_few_experts(self):
        self.check(((6, 2, 1), (6, 6, 1)), self.FEW_EXPERTS)

    def test_of_sub_tokens_and_parts(self):
        self.check(((2, 2, 2),), self.SUB_TOKENS_AND_PARTS)


if __name__ == "__main__":
    runs.main()
