"""One seed gives the same bits on any number of ranks and threads."""

import numpy

import runs

# 900 training samples, batch 128: the eighth step is the short batch of 4 samples (ranks without samples), the
# tenth is well in the second epoch.
STEPS = 20


class Layout(runs.RunTest):
    def check_all_layouts(self, **sections):
        straight = self.train(ranks=1, run_threads=1, train_max_steps=STEPS, **sections)
        for ranks in (1, 2, 3, 4):
            for threads in (1, 2):
                if (ranks, threads) == (1, 1):
                    continue
                with self.subTest(ranks=ranks, threads=threads):
                    other = self.train(ranks=ranks, run_threads=threads, train_max_steps=STEPS, **sections)
                    self.assert_same_run(straight, other)
        return straight

    def test_dense(self):
        straight = self.check_all_layouts(moe_top_k=0)
        losses = [m["loss"] for m in runs.metrics(straight) if m["kind"] == "step"]
        self.assertEqual(len(losses), STEPS)
        self.assertLess(losses[-1], 0.8 * losses[0], "the run learned nothing: equal bits would prove nothing")

    def test_top_2(self):
        straight = self.check_all_layouts(moe_top_k=2)
        self.assertEqual(sum(runs.metrics(straight)[0]["load"]), 2 * 128)

    def test_without_a_launcher(self):
        alone = self.train(ranks=0, train_max_steps=STEPS, moe_top_k=2)
        self.assert_same_run(alone, self.train(ranks=2, train_max_steps=STEPS, moe_top_k=2))

    def test_another_seed_gives_other_bits(self):
        a = self.train(train_max_steps=2)
        b = self.train(train_max_steps=2, run_seed=8)
        finished = runs.switchyard("diff", runs.newest_checkpoint(a), runs.newest_checkpoint(b))
        self.assertEqual(finished.code, 1, finished)

    def test_cyclic_placement(self):
        block = self.train(ranks=2, train_max_steps=STEPS, moe_top_k=2)
        cyclic = self.train(ranks=2, train_max_steps=STEPS, moe_top_k=2, moe_placement="cyclic")
        # Which rows travel depends on the placement: compared apart.
        self.assert_same_checkpoint(runs.newest_checkpoint(block), runs.newest_checkpoint(cyclic))
        self.assertEqual(runs.results(block), runs.results(cyclic))

    def test_replicas_of_experts(self):
        # Convolutions by tile, matrices by block: of the experts' rows, which an epoch's short batch has few of.
        keys = dict(train_max_steps=10, train_batch_size=400, moe_top_k=2, moe_gradient_blocks=4)
        straight = self.train(**keys)
        for ranks, replicas in ((4, 2), (3, 3)):
            with self.subTest(ranks=ranks, replicas=replicas):
                other = self.train(ranks=ranks, moe_replicas=replicas, **keys)
                self.assert_same_run(straight, other)
        evaluate = [self.expect(runs.switchyard("eval", run, *arguments, ranks=ranks), 0).out.partition('"checkpoint"')[0]
                    for run, ranks, arguments in ((straight, 0, ()), (other, 0, ()), (other, 2, ("--moe.replicas=2",)))]
        self.assertEqual(evaluate[1:], evaluate[:1] * 2)
        # An epoch ends between the two, and the copies read one stored expert.
        first = dict(init_from=straight, train_freeze="gate", run_seed=8, moe_importance=0)
        self.assert_same_run(self.train(**keys, **first), self.train(ranks=2, moe_replicas=2, **keys, **first))
        whole = self.train(**{**keys, "moe_gradient_blocks": 0})
        self.expect(runs.switchyard("diff", runs.newest_checkpoint(straight), runs.newest_checkpoint(whole)), 1)

    def test_replicas_that_cannot_be(self):
        config, run = self.write_config(moe_replicas=2)
        self.expect_failure(runs.switchyard("train", config, ranks=2), 2, "moe.gradient_blocks", kind="ConfigError")
        config, run = self.write_config(moe_replicas=2, moe_gradient_blocks=2)
        self.expect_failure(runs.switchyard("train", config, ranks=3), 2, "3 rank(s) cannot hold 2 replicas", kind="ConfigError")
        self.assertFalse(run.exists())

    def test_fewer_shards_than_ranks(self):
        alone = self.train(train_max_steps=STEPS, train_shards=2)
        self.assert_same_run(alone, self.train(ranks=4, train_max_steps=STEPS, train_shards=2))

    def test_batches_smaller_than_the_ranks(self):
        keys = dict(train_max_steps=STEPS, train_batch_size=2, moe_top_k=1)
        self.assert_same_run(self.train(**keys), self.train(ranks=4, **keys))

    def test_matrices_that_ranks_share_out_within_a_row(self):
        # The gate's 256 x 100: ranks' parts end where a piece of 8192 elements of its norm does.
        keys = dict(model_gate="dense:100 relu dense:experts", train_batch_size=600)
        straight = self.train(train_max_steps=6, **keys)
        for ranks, then in ((2, 3), (3, 1), (5, 2)):
            with self.subTest(ranks=ranks, then=then):
                run = self.train(ranks=ranks, train_max_steps=3, **keys)
                self.resume(run, "--train.max_steps=6", ranks=then)
                self.assert_same_run(straight, run)

    def test_sgd_with_momentum_and_weight_decay(self):
        keys = dict(train_max_steps=STEPS, optim_name="sgd", optim_momentum=0.9, optim_weight_decay=1e-3)
        self.assert_same_run(self.train(**keys), self.train(ranks=3, **keys))

    def test_adamw(self):
        # Clipped, decaying the experts' weights alone: stopped and moved.
        self.check_adamw(moe_top_k=2, optim_schedule="warmup_stable_decay", optim_schedule_steps=STEPS, optim_floor=0.1)

    def test_adamw_in_parts(self):
        self.check_adamw(train_parts=2, model_gate="dense:64 relu dense:experts")

    def check_adamw(self, **sections):
        keys = dict(optim_name="adamw", optim_weight_decay=0.1, optim_beta2=0.95, optim_epsilon=1e-6, **sections)
        straight = self.train(train_max_steps=STEPS, **keys)
        self.assert_same_run(straight, self.train(ranks=3, train_max_steps=STEPS, **keys))
        run = self.train(ranks=2, train_max_steps=7, **keys)
        self.resume(run, f"--train.max_steps={STEPS}", ranks=3)
        self.assert_same_run(straight, run)


class PlantedDifference(runs.RunTest):
    def test_one_bit_is_found_and_named(self):
        run = self.train(ranks=2, train_max_steps=2)
        whole = runs.newest_checkpoint(run)
        changed = self.new_path("changed.h5")
        changed.write_bytes(whole.read_bytes())
        path = "parameters/experts/0003/dense_1/weight"

        def flip(file):
            array = file[path][()]
            bits = array.view(numpy.uint32)
            bits[2, 5] ^= 1
            file[path][...] = array

        runs.edit_checkpoint(changed, flip)
        finished = runs.switchyard("verify", changed)
        self.assertEqual(finished.code, 0, finished)
        finished = runs.switchyard("diff", whole, changed)
        self.assertEqual(finished.code, 1, finished)
        self.assertIn(path, finished.out)
        self.assertIn("[2, 5]", finished.out)
        with self.assertRaises(AssertionError):
            self.assert_same_arrays(whole, changed)


if __name__ == "__main__":
    runs.main()
