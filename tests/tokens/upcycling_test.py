"""Mixtures whose experts begin as copies of a dense model's feed-forward networks (init.from of a dense run)."""

import h5py
import numpy

import runs
import token_runs

EXPERTS, HIDDEN, LAYERS = 5, 10, 2
KEYS = {name: value for name, value in token_runs.BASE_KEYS.items()
        if not name.startswith(("model.", "tokens.", "data.window"))}
KEYS |= {"model.family": "transformer", "transformer.width": 12, "transformer.layers": LAYERS, "transformer.heads": 3,
         "transformer.hidden": HIDDEN, "transformer.window": token_runs.WINDOW, "transformer.mixture_every": 1,
         "moe.hidden": HIDDEN, "moe.top_k": 2}
DENSE = dict(transformer_mixture_every=0, moe_top_k=0, moe_experts=EXPERTS)
# An update that is too small to change a weight: the checkpoint holds the first weights.
FIRST_WEIGHTS = dict(optim_name="sgd", optim_learning_rate=1e-30, optim_clip_norm=0, optim_warmup_steps=0,
                     optim_schedule="constant", train_max_steps=1)


def arrays(run):
    """Name -> array of the newest checkpoint, without parameters/."""
    found = {}
    with h5py.File(runs.newest_checkpoint(run)) as file:
        file["parameters"].visititems(lambda name, item: found.update({name: item[()]}) if hasattr(item, "dtype") else None)
    return found


def first_loss(run):
    return runs.metrics(run)[0]["loss"]


class Upcycled(token_runs.TokenTest):
    base_keys = KEYS

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        _, cls.dense = cls.train_for_all(train_max_steps=30, optim_learning_rate=1e-2, **DENSE)

    def upcycled(self, ranks=0, **keys):
        return self.train(ranks=ranks, **{**FIRST_WEIGHTS, "init_from": self.dense, **keys})

    def refused(self, *said, **keys):
        for ranks in (0, 3):
            config, _ = self.write_config(**{**FIRST_WEIGHTS, "init_from": self.dense, **keys})
            self.expect_failure(runs.switchyard("train", config, ranks=ranks), 2, *said)

    def test_experts_are_copies_and_the_gate_is_drawn(self):
        theirs, fresh = arrays(self.dense), arrays(self.train(**FIRST_WEIGHTS))
        for ranks in (0, 3, 7):
            with self.subTest(ranks=ranks):
                ours = arrays(self.upcycled(ranks))
                self.assertEqual(sorted(ours), sorted(fresh))
                for name, array in ours.items():
                    block = name.rpartition("/mixture/")[0]
                    expected = fresh if "/gate/" in name else theirs
                    of = f"{block}/feed_forward/{name.split('/', 5)[5]}" if "/experts/" in name else name
                    self.assertEqual(array.tobytes(), expected[of].tobytes(), name)

    def test_the_first_loss_is_that_of_the_dense_model(self):
        dense = first_loss(self.upcycled(**DENSE))
        self.assertLess(dense, first_loss(self.train(**{**FIRST_WEIGHTS, **DENSE})) - 0.5, "it learned nothing")
        for keys in (dict(moe_top_k=2), dict(moe_top_k=0), dict(moe_top_k=3, moe_scores="sigmoid"),
                     dict(moe_top_k=2, transformer_mixture_every=2)):
            losses = [first_loss(self.upcycled(ranks, **keys)) for ranks in (0, 2, 3)]
            with self.subTest(**keys):
                self.assertAlmostEqual(losses[0], dense, delta=1e-6)
                self.assertEqual(losses[1:], losses[:1] * 2)
        # A weight below 1 makes it another function.
        self.assertGreater(abs(first_loss(self.upcycled(moe_top_k=1)) - dense), 1e-3)

    def test_noise_is_a_share_of_each_weight(self):
        noise = 0.125
        run = self.upcycled(init_upcycle_noise=noise)
        theirs, ours = arrays(self.dense), arrays(run)
        draws = {}
        for name, array in ours.items():
            if "/experts/" not in name:
                continue
            block, _, rest = name.partition("/mixture/experts/")
            draws[name] = array.astype(float) / theirs[f"{block}/feed_forward/{rest.split('/', 1)[1]}"] - 1
        of_all = numpy.concatenate([draw.ravel() for draw in draws.values()]) / noise
        # Of n normal numbers the mean deviates by 1 / sqrt(n), the standard deviation by 1 / sqrt(2 n): five of them.
        n = of_all.size
        self.assertLess(abs(of_all.mean()), 5 / n**0.5)
        self.assertLess(abs(of_all.std() - 1), 5 / (2 * n) ** 0.5)
        self.assertEqual(len({draw.tobytes() for draw in draws.values()}), len(draws))
        for name in ("embedding/weight", "blocks/00/attention/qkv/weight"):
            self.assertEqual(ours[name].tobytes(), theirs[name].tobytes())
        for ranks in (2, 3):
            self.assert_same_run(run, self.upcycled(ranks, init_upcycle_noise=noise))
        for other in (dict(init_draw=1), dict(run_seed=8)):
            again = arrays(self.upcycled(init_upcycle_noise=noise, **other))
            for name in draws:
                self.assertNotEqual(again[name].tobytes(), ours[name].tobytes(), name)

    def test_learns_the_same_on_any_layout_and_resumed(self):
        keys = dict(init_from=self.dense, init_upcycle_noise=0.01, moe_importance=0.1, train_max_steps=6)
        straight = self.train(**keys)
        for ranks, threads in ((2, 2), (3, 1)):
            self.assert_same_run(straight, self.train(ranks=ranks, run_threads=threads, **keys))
        moved = self.train(ranks=3, **{**keys, "train_max_steps": 3})
        self.resume(moved, "--train.max_steps=6", ranks=2)
        self.assert_same_run(straight, moved)

    def test_only_where_the_file_has_a_dense_network(self):
        source = self.train(transformer_mixture_every=2, train_max_steps=2, moe_experts=EXPERTS)
        config, run = self.write_config(init_from=source, **FIRST_WEIGHTS)
        said = " ".join(self.expect(runs.switchyard("train", config), 0).out.split())
        self.assertIn("; experts are copies of its feed-forward networks; blocks/00/mixture/gate/dense_1/weight drawn", said)
        theirs, ours = arrays(source), arrays(run)
        for e in range(EXPERTS):
            for array in ("glu/weight", "down/weight"):
                copy, kept = (f"blocks/{block}/mixture/experts/{e:04}/{array}" for block in ("00", "01"))
                self.assertEqual(ours[copy].tobytes(), theirs[f"blocks/00/feed_forward/{array}"].tobytes())
                self.assertEqual(ours[kept].tobytes(), theirs[kept].tobytes())

    def test_parts(self):
        ours = arrays(self.upcycled(init_parts="blocks/01/mixture"))
        theirs, fresh = arrays(self.dense), arrays(self.train(**FIRST_WEIGHTS))
        self.assertEqual(ours["blocks/01/mixture/experts/0003/glu/weight"].tobytes(),
                         theirs["blocks/01/feed_forward/glu/weight"].tobytes())
        for name in ("blocks/00/mixture/experts/0003/glu/weight", "embedding/weight"):
            self.assertEqual(ours[name].tobytes(), fresh[name].tobytes(), name)

    def test_refusals(self):
        self.refused("its array 'parameters/blocks/00/feed_forward/glu/weight' has the shape 12 x 20",
                     "begin as its copy 12 x 14 (experts are as wide as that network)", "set moe.hidden", moe_hidden=7)
        self.refused("with moe.sub_heads an expert sees a part of a token", "set moe.sub_heads = 1", moe_sub_heads=2)
        self.refused("'parameters/blocks/00/mixture/shared/glu/weight' is missing", moe_shared_hidden=4)
        self.refused("'blocks/*/feed_forward' names nothing of this run's model; is '", init_parts="blocks/*/feed_forward")
        self.refused("init.upcycle_noise = 0.1 with no expert that is a copy", init_upcycle_noise=0.1, **DENSE)
        self.refused("init.upcycle_noise = 0.1 without init.from", init_upcycle_noise=0.1, init_from="")

    def test_parts_that_are_proposed_can_be_read(self):
        config, _ = self.write_config(moe_hidden=7, init_from=self.dense, **FIRST_WEIGHTS)
        said = self.expect(runs.switchyard("train", config), 2).err
        parts = said.rpartition("or set init.parts = ")[2].strip()
        self.assertIn("embedding", parts)
        self.upcycled(moe_hidden=7, init_parts=parts)


if __name__ == "__main__":
    runs.main()
