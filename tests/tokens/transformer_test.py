"""The transformer: a step beside float64, and what no layout and no later token changes."""

import numpy

import runs
import token_reference as reference
import token_runs
from token_runs import EXPERTS
from token_steps import StepTest, all_regularisers

WIDTH, LAYERS, HEADS, HIDDEN, EXPERT_HIDDEN = 12, 3, 3, 10, 7
KEYS = {name: value for name, value in token_runs.BASE_KEYS.items()
        if not name.startswith(("model.", "tokens.", "data.window"))}
KEYS |= {"model.family": "transformer", "transformer.width": WIDTH, "transformer.layers": LAYERS,
         "transformer.heads": HEADS, "transformer.hidden": HIDDEN, "transformer.window": token_runs.WINDOW,
         "transformer.mixture_every": 2, "moe.hidden": EXPERT_HIDDEN}


def around_of(keys):
    """Which of head and merge there are."""
    by_themselves = "yes" if keys.get("moe_sub_heads", 1) > 1 else "no"
    return [part for part in ("head", "merge") if keys.get(f"moe_{part}", by_themselves) == "yes"]


class OfTransformer(StepTest):
    base_keys = KEYS
    MIXTURES = ["blocks/01/mixture"]

    def random_parameters(self, random, keys):
        return reference.random_transformer(random, LAYERS, WIDTH, HIDDEN, EXPERTS, EXPERT_HIDDEN,
                                            keys.get("transformer_mixture_every", 2), keys.get("moe_sub_heads", 1),
                                            keys.get("moe_shared_hidden", 0), keys.get("transformer_tied", "yes") == "yes",
                                            around_of(keys),
                                            keys["moe_cosine_width"] if keys.get("moe_router") == "cosine" else 0)

    @staticmethod
    def of_model(keys):
        return dict(heads=HEADS, rotary_base=keys.get("transformer_rotary_base", 10_000),
                    gate="cosine:experts" if keys.get("moe_router") == "cosine" else "dense:experts")


class Gradients(OfTransformer):
    def test_of_the_task(self):
        for top_k in (1, 2, 0):
            with self.subTest(top_k=top_k):
                self.check(moe_top_k=top_k)

    def test_of_all_regularisers(self):
        self.check(moe_top_k=2, **all_regularisers(2))

    def test_without_a_mixture(self):
        self.check(transformer_mixture_every=0)

    def test_of_other_angles(self):
        self.check(moe_top_k=1, transformer_rotary_base=50)

    def test_of_sub_tokens(self):
        for sub_heads, top_k in ((2, 2), (3, 1), (12, 0)):
            with self.subTest(sub_heads=sub_heads, top_k=top_k):
                keys = dict(moe_balance=0.2, moe_importance=0.1) if top_k else {}
                self.check(moe_top_k=top_k, moe_sub_heads=sub_heads, train_parts=1 + top_k, **keys)

    def test_of_a_shared_expert(self):
        for sub_heads in (1, 3):
            self.check(moe_top_k=2, moe_sub_heads=sub_heads, moe_shared_hidden=5, moe_z_loss=0.1)

    def test_of_scores_by_a_table_of_their_own(self):
        for top_k, parts in ((1, 1), (2, 2)):
            self.check(moe_top_k=top_k, train_parts=parts, transformer_tied="no")

    def test_of_dropout(self):
        self.check(moe_top_k=2, transformer_dropout=0.3, moe_sub_heads=2, moe_shared_hidden=5, train_parts=2)

    def test_of_what_is_computed_twice(self):
        self.check(moe_top_k=2, transformer_dropout=0.2, train_recompute="yes", train_parts=2, **all_regularisers(2))

    def test_of_head_and_merge_by_themselves(self):
        for sub_heads, head, merge in ((1, "yes", "no"), (1, "no", "yes"), (1, "yes", "yes"), (3, "no", "yes"), (3, "yes", "no"),
                                       (3, "no", "no")):
            with self.subTest(sub_heads=sub_heads, head=head, merge=merge):
                self.check(moe_top_k=2, moe_sub_heads=sub_heads, moe_head=head, moe_merge=merge, moe_balance=0.2)

    def test_of_cosines(self):
        for sub_heads, top_k in ((1, 2), (3, 1), (2, 0)):
            with self.subTest(sub_heads=sub_heads, top_k=top_k):
                self.check(moe_router="cosine", moe_cosine_width=4, moe_cosine_temperature=0.3, moe_sub_heads=sub_heads,
                           moe_top_k=top_k, moe_importance=0.3, moe_z_loss=0.1)

    def test_of_capacity(self):
        documents = [d for d in self.documents if len(d) == len(self.documents[0])][:3]
        for drop in ("position", "score"):
            for capacity, top_k, more in ((0.7, 1, {}), (1.1, 2, dict(train_parts=3, **all_regularisers(2))),
                                          (0.9, 2, dict(moe_sub_heads=3, train_parts=2)), (0.5, EXPERTS, {})):
                with self.subTest(drop=drop, capacity=capacity, top_k=top_k, **more):
                    expected = self.check(documents=documents, moe_top_k=top_k, moe_capacity=capacity, moe_drop=drop, **more)
                    self.assertGreater(expected.routings[0].dropped, 0.02)

    def test_of_several_sequences_and_parts(self):
        documents = [d for d in self.documents if len(d) == len(self.documents[0])][:3]
        self.check(documents=documents, moe_top_k=2, train_parts=2)

    def farthest_from_ties(self, documents, keys):
        """A seed of parameters: a number near a tie may be rounded otherwise in float32, and then is 1/127 away."""
        def margin(seed):
            found, _ = self.expected(documents, self.parameters_of(seed, **keys), None, keys)
            return min([found.rounding_margin, *(routing.margin / 10 for routing in found.routings)])

        return max(range(1, 40), key=margin)

    def test_of_ternary_weights(self):
        documents = [numpy.random.default_rng(3).bytes(2 * token_runs.WINDOW + 1)]  # few numbers, of which none is near a tie
        for more in (dict(transformer_mixture_every=0), dict(moe_top_k=1, moe_balance=0.2), dict(moe_top_k=0, train_parts=2),
                     dict(moe_top_k=2, moe_sub_heads=2, moe_shared_hidden=5)):
            with self.subTest(**more):
                keys = dict(transformer_quantise="bitnet", **more)
                self.check(documents, seed=self.farthest_from_ties(documents, keys), **keys)


class Layouts(token_runs.TokenTest):
    base_keys = KEYS
    RUN = dict(moe_top_k=2, moe_importance=0.1, optim_clip_norm=1.0, train_batch_size=19, train_max_steps=6)
    VARIANTS = ({}, dict(train_parts=3, moe_sub_heads=2, moe_shared_hidden=9, transformer_dropout=0.1),
                dict(transformer_mixture_every=0, moe_importance=0, moe_top_k=0, transformer_tied="no"),
                dict(transformer_quantise="bitnet", moe_sub_heads=2, moe_shared_hidden=9))

    def test_ranks_threads_and_a_move(self):
        for more in self.VARIANTS:
            keys = {**self.RUN, **more}
            straight = self.train(ranks=1, **keys)
            losses = [m["loss"] for m in runs.metrics(straight) if m["kind"] == "step"]
            self.assertLess(losses[-1], losses[0], "the run learned nothing: equal bits would prove nothing")
            for ranks, threads in ((3, 2), (8, 1)):
                with self.subTest(ranks=ranks, threads=threads, **more):
                    self.assert_same_run(straight, self.train(ranks=ranks, run_threads=threads, **keys))
            self.assert_same_run(straight, self.train(ranks=3, run_threads=2, train_recompute="yes", **keys))
            moved = self.train(ranks=3, **{**keys, "train_max_steps": 3})
            self.resume(moved, "--train.recompute=yes", f"--train.max_steps={self.RUN['train_max_steps']}", ranks=2)
            self.assert_same_run(straight, moved)


class Quantised(token_runs.TokenTest):
    base_keys = KEYS
    RUN = dict(transformer_quantise="bitnet", moe_top_k=2, moe_shared_hidden=9, train_batch_size=19, train_max_steps=6)

    def test_products_of_integers_have_the_bits_of_floats(self):
        run = self.train(**self.RUN)
        for ranks, threads in ((1, 1), (3, 2)):
            integers = self.train(ranks=ranks, run_threads=threads, transformer_integer_products="yes", **self.RUN)
            self.assert_same_run(run, integers)

    def test_an_evaluation_may_multiply_integers(self):
        checkpoint = runs.newest_checkpoint(self.train(**self.RUN))
        found = [self.expect(runs.switchyard("eval", checkpoint, f"--transformer.integer_products={how}"), 0).out
                 for how in ("no", "yes")]
        self.assertEqual(*found)

    def test_forward_has_the_same_bits_in_bf16(self):
        """Of a model whose other products are in float32 anyway."""
        losses = [runs.metrics(self.train(**{**self.RUN, "train_precision": precision, "moe_top_k": 0, "moe_shared_hidden": 0,
                                             "transformer_mixture_every": 0}))[0]["loss"] for precision in ("float32", "bf16")]
        self.assertEqual(*losses)

    def test_a_weight_that_is_no_number_is_found(self):
        """Though it is rounded to one."""
        for name in ("attention/qkv", "feed_forward/down"):
            for integers in ("no", "yes"):
                with self.subTest(name=name, integers=integers):
                    keys = dict(**self.RUN, transformer_integer_products=integers)
                    file = runs.newest_checkpoint(self.train(**keys))

                    def spoil(opened):
                        opened[f"parameters/blocks/00/{name}/weight"][3, 1] = numpy.nan

                    runs.edit_checkpoint(file, spoil)
                    config, _ = self.write_config(**{**keys, "init_from": file})
                    self.expect_failure(runs.switchyard("train", config), 5, "step 1: ", kind="NumericError")

    def test_what_has_no_meaning_is_refused(self):
        for keys, why in ((dict(transformer_integer_products="yes"), "transformer.integer_products = yes with transformer.quantise"),
                          (dict(transformer_quantise="bitnet", transformer_hidden=131_073), "with a width of 131073")):
            config, _ = self.write_config(**keys)
            self.assertIn(why, self.expect(runs.switchyard("train", config), 2).err)


if __name__ == "__main__":
    runs.main()
