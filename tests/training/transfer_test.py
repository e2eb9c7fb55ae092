"""Runs that begin with the weights of another run, and runs that leave a network as it is."""

import shutil

import h5py

import runs

STEPS = 20
# An update that is too small to change a weight: the checkpoint holds the first weights.
FIRST_WEIGHTS = dict(optim_name="sgd", optim_learning_rate=1e-30, optim_clip_norm=0, optim_warmup_steps=0,
                     optim_schedule="constant", train_max_steps=1)
NO_NORM = dict(model_gate="conv:8 relu max_pool dense:64 relu dense:experts")


def arrays(run, prefix):
    """Path -> bytes of the arrays of the newest checkpoint whose path begins so."""
    found = runs.checkpoint_bytes(runs.newest_checkpoint(run))
    return {path: content for path, content in found.items() if path.startswith(prefix)}


def gate_of(run):
    return {**arrays(run, "parameters/gate/"), **arrays(run, "buffers/gate/")}


def experts_of(run):
    return arrays(run, "parameters/experts/")


class TransferTest(runs.RunTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        config, cls.source = cls.write_config(train_max_steps=STEPS, moe_importance=0)
        finished = runs.switchyard("train", config, ranks=2)
        if finished.code != 0:
            raise AssertionError(finished)

    def train(self, **sections):
        return super().train(**{"moe_importance": 0, **sections})

    def assert_all_differ(self, ours, theirs):
        self.assertEqual(sorted(ours), sorted(theirs))
        for path in ours:
            self.assertNotEqual(ours[path], theirs[path], path)


class FirstWeights(TransferTest):
    def test_of_all_networks(self):
        run = self.train(ranks=3, init_from=self.source, **FIRST_WEIGHTS)
        self.assertEqual(experts_of(run), experts_of(self.source))
        self.assertEqual(arrays(run, "parameters/gate/"), arrays(self.source, "parameters/gate/"))
        self.assertEqual(runs.summary(run)["steps"], 1, "it is a new run")

    def test_of_one_network(self):
        scratch = self.train(**FIRST_WEIGHTS)
        for part, (read, drawn) in {"gate": ("parameters/gate/", "parameters/experts/"),
                                    "experts": ("parameters/experts/", "parameters/gate/")}.items():
            with self.subTest(part=part):
                run = self.train(ranks=2, init_from=self.source, init_parts=part, **FIRST_WEIGHTS)
                self.assertEqual(arrays(run, read), arrays(self.source, read))
                for path, content in arrays(run, drawn).items():
                    if path.endswith("/weight"):  # what begins with zeros takes even the smallest step
                        self.assertEqual(content, arrays(scratch, drawn)[path], path)

    def test_of_a_file_or_of_a_run_folder(self):
        older = self.source / "checkpoints" / "step-0000016.h5"
        run = self.train(init_from=older, **FIRST_WEIGHTS)
        expected = {path: content for path, content in runs.checkpoint_bytes(older).items()
                    if path.startswith("parameters/experts/")}
        self.assertEqual(experts_of(run), expected)
        self.assert_all_differ(experts_of(run), experts_of(self.source))

    def test_a_gate_with_a_new_last_layer(self):
        longer = runs.BASE_KEYS["model.gate"].replace("dense:experts", "dense:5 relu dense:experts")
        config, run = self.write_config(init_from=self.source, model_gate=longer, moe_importance=0, **FIRST_WEIGHTS)
        finished = self.expect(runs.switchyard("train", config, ranks=2), 0)
        table = " ".join(finished.out.split())
        self.assertIn(f"the weights of {runs.newest_checkpoint(self.source)}; "
                      "gate/dense_3/weight, gate/dense_3/bias drawn", table)
        ours, theirs = arrays(run, "parameters/gate/"), arrays(self.source, "parameters/gate/")
        self.assertEqual({path: ours[path] for path in theirs}, theirs)
        self.assertEqual({path.split("/")[2] for path in set(ours) - set(theirs)}, {"dense_3"})

    def test_of_products_in_bf16(self):
        def first_loss(**keys):
            return runs.metrics(self.train(ranks=2, train_max_steps=1, **keys))[0]["loss"]
        read = first_loss(init_from=self.source, train_precision="bf16")
        self.assertAlmostEqual(read, first_loss(init_from=self.source), delta=0.02)
        self.assertLess(read, first_loss(train_precision="bf16") - 0.2)

    def test_another_draw(self):
        first, second = (self.train(init_draw=draw, **FIRST_WEIGHTS) for draw in (0, 1))
        self.assertEqual(experts_of(first), experts_of(self.train(**FIRST_WEIGHTS)))
        self.assert_all_differ(experts_of(first), experts_of(second))
        weights = "parameters/gate/dense_"
        self.assert_all_differ(arrays(first, weights), arrays(second, weights))
        # The samples come in the same order: a gate that goes by their labels sends them to the same experts.
        by_label = dict(model_gate="by_label:experts", moe_partition="0 5 | 1 | 2 | 3 | 4", train_max_steps=STEPS)
        loads = [[line["load"] for line in runs.metrics(self.train(init_draw=draw, **by_label)) if line["kind"] == "step"]
                 for draw in (0, 1)]
        self.assertEqual(loads[0], loads[1])
        self.assertGreater(len({tuple(load) for load in loads[0]}), 1)

    def test_a_draw_of_nothing(self):
        config, _ = self.write_config(init_from=self.source, init_draw=1, moe_importance=0)
        self.expect_failure(runs.switchyard("train", config, ranks=2), 2, "init.draw = 1 with all weights read")

    def test_experts_that_have_more(self):
        norm = "conv:1 batch_norm relu max_pool dense:16 relu dense:classes"
        source = self.train(model_expert=norm, **FIRST_WEIGHTS)
        config, _ = self.write_config(init_from=source, moe_importance=0)
        for ranks in (0, 3):
            self.expect_failure(runs.switchyard("train", config, ranks=ranks), 2,
                                "experts/0000/batch_norm_1/", "is not of this run's model")


class Frozen(TransferTest):
    KEYS = dict(optim_weight_decay=0.01, train_max_steps=STEPS)

    def check_all_layouts(self, frozen, trained, **sections):
        keys = dict(init_from=self.source, **self.KEYS, **sections)
        straight = self.train(**keys)
        for ranks, threads in ((0, 2), (3, 2), (4, 1)):
            with self.subTest(ranks=ranks, threads=threads):
                self.assert_same_run(straight, self.train(ranks=ranks, run_threads=threads, **keys))
        self.assertEqual(frozen(straight), frozen(self.source))
        self.assert_all_differ(trained(straight), trained(self.source))
        losses = [m["loss"] for m in runs.metrics(straight) if m["kind"] == "step"]
        self.assertLess(losses[-1], losses[0], "it learned nothing: equal bits would prove nothing")
        return straight

    def test_gate(self):
        run = self.check_all_layouts(gate_of, experts_of, init_parts="gate", train_freeze="gate")
        self.assertEqual({path.split("/")[1] for path in arrays(run, "optimizer/")}, {"experts"})

    def test_experts(self):
        run = self.check_all_layouts(experts_of, gate_of, init_parts="experts", train_freeze="experts",
                                     moe_importance=0.2)
        self.assertEqual({path.split("/")[1] for path in arrays(run, "optimizer/")}, {"gate"})

    def test_experts_behind_top_2(self):
        self.check_all_layouts(experts_of, gate_of, train_freeze="experts", moe_top_k=2, moe_placement="cyclic")

    def test_resumed_on_other_rank_counts_without_the_source(self):
        for frozen in ("gate", "experts"):
            with self.subTest(frozen=frozen):
                source = self.new_path("source")
                shutil.copytree(self.source, source)
                keys = dict(init_from=source, train_freeze=frozen)
                straight = self.train(train_max_steps=STEPS, **keys)
                run = self.train(ranks=2, train_max_steps=7, **keys)
                shutil.rmtree(source)
                self.resume(run, "--train.max_steps=13", ranks=3)
                finished = self.resume(run, f"--train.max_steps={STEPS}")
                self.assertIn("the run's own", finished.out)
                self.assert_same_run(straight, run)

    def test_gradient_norm_is_of_what_trains(self):
        def first_norm(freeze):
            keys = dict(train_max_steps=1, train_freeze=freeze, **NO_NORM)
            return runs.metrics(self.train(ranks=2, **keys))[0]["gradient_norm"]
        whole, of_experts, of_gate = (first_norm(freeze) for freeze in ("none", "gate", "experts"))
        self.assertGreater(of_gate, 0)
        self.assertGreater(of_experts, 0)
        self.assertAlmostEqual(whole ** 2, of_gate ** 2 + of_experts ** 2, delta=1e-9 * whole ** 2)


class Refused(TransferTest):
    def check(self, code, *fragments, **sections):
        kind = {2: "ConfigError", 3: "DataError"}[code]
        for ranks in (0, 3):
            with self.subTest(ranks=ranks):
                keys = dict(train_max_steps=2, moe_importance=0, init_from=self.source)
                config, run = self.write_config(**{**keys, **sections})
                finished = runs.switchyard("train", config, ranks=ranks)
                self.expect_failure(finished, code, "init.from = ", *fragments, kind=kind)
                self.assertFalse((run / "metrics.jsonl").exists())
                self.assertFalse((run / "config.ini").exists())

    def edited(self, change):
        """A copy of the source's newest checkpoint with whole checksums."""
        file = self.new_path("edited.h5")
        shutil.copy(runs.newest_checkpoint(self.source), file)
        runs.edit_checkpoint(file, change)
        return file

    def test_nothing_there(self):
        self.check(3, "there is no such file or folder", init_from=self.folder / "nowhere")

    def test_a_folder_without_checkpoints(self):
        self.check(3, "there is no checkpoint in", init_from=self.data)
        empty = self.new_path("empty")
        (empty / "checkpoints").mkdir(parents=True)
        self.check(3, "there is no whole checkpoint in", init_from=empty)

    def test_a_damaged_file(self):
        file = self.new_path("damaged.h5")
        content = bytearray(runs.newest_checkpoint(self.source).read_bytes())
        content[len(content) // 2] ^= 0x10
        file.write_bytes(content)
        self.check(3, str(file), init_from=file)
        self.check(3, "a checkpoint has more than 512", init_from=self.data / "t10k-labels-idx1-ubyte")

    def test_another_number_of_experts(self):
        self.check(2, "it holds 5 experts, and this run has 4", "set moe.experts = 5, or set init.parts = "
                   "gate/batch_norm_1, gate/conv_1, gate/dense_1", moe_experts=4)

    def test_another_shape_of_an_expert(self):
        self.check(2, "'parameters/experts/0000/dense_1/weight' has the shape 49 x 16", "the shape 49 x 17",
                   "or set init.parts = experts/*/conv_1, gate",
                   model_expert="conv:1 relu max_pool dense:17 relu dense:classes")

    def test_an_array_of_an_expert_that_is_missing(self):
        self.check(2, "'parameters/experts/0000/dense_3/weight' is missing", "the shape 6 x 6",
                   model_expert=runs.BASE_KEYS["model.expert"].replace("classes", "6 relu dense:classes"))

    def test_one_expert_of_the_last_rank_that_lacks_an_array(self):
        def remove(file):
            del file["parameters/experts/0004/dense_2/bias"]
        self.check(2, "'parameters/experts/0004/dense_2/bias' is missing", init_from=self.edited(remove))

    def test_another_shape_of_the_gate(self):
        self.check(2, "'parameters/gate/dense_1/weight' has the shape 392 x 64", "the shape 392 x 32",
                   model_gate="conv:8 batch_norm relu max_pool dense:32 relu dense:experts", init_parts="gate")
        self.check(2, "the shape 392 x 32", "or set init.parts = experts, gate/batch_norm_1, gate/conv_1",
                   model_gate="conv:8 batch_norm relu max_pool dense:32 relu dense:experts")
        self.check(2, "'parameters/gate/dense_2/weight' has the shape 64 x 5", "the shape 64 x 4",
                   moe_experts=4, init_parts="gate")

    def test_nothing_of_the_gate(self):
        def remove(file):
            del file["parameters/gate"], file["buffers/gate"]
        self.check(2, "it holds nothing of this run's 'gate'", init_from=self.edited(remove))

    def test_a_gate_that_the_run_lacks(self):
        by_label = dict(model_gate="by_label:experts", moe_partition="0 5 | 1 | 2 | 3 | 4")
        self.check(2, "its array 'buffers/gate/batch_norm_1/", "is not of this run's model", "or set init.parts = experts",
                   **by_label)
        self.train(init_from=self.source, init_parts="experts", **by_label, **FIRST_WEIGHTS)

    def test_parts_without_a_source(self):
        config, _ = self.write_config(init_parts="gate")
        self.expect_failure(runs.switchyard("train", config, ranks=2), 2, "init.parts = gate without init.from")


class Collapse(runs.RunTest):
    def test_is_said_once_and_measured(self):
        # All gate weights are equal, so the first expert has the largest one of every sample, and nothing is learned.
        keys = {**FIRST_WEIGHTS, "train_max_steps": 0, "train_epochs": 3}
        config, run = self.write_config(model_gate_init_scale=0, model_gate="dense:experts", moe_importance=0, **keys)
        finished = self.expect(runs.switchyard("train", config, ranks=2), 0)
        lines = [line for line in finished.out.splitlines() if "(a collapse)" in line]
        self.assertEqual(len(lines), 1, finished)
        records = [m for m in runs.metrics(run) if m["kind"] == "evaluation"]
        self.assertEqual(len(records), 3)
        for found in (*records, runs.summary(run)["test"]):
            self.assertEqual(found["largest_share"], max(found["expert_share"]))
            self.assertEqual(found["active_experts"], sum(share > 0.01 for share in found["expert_share"]))
            self.assertGreater(found["largest_share"], 0.9)

    def test_is_not_said_of_a_gate_that_uses_its_experts(self):
        config, run = self.write_config(train_epochs=2)
        finished = self.expect(runs.switchyard("train", config, ranks=2), 0)
        self.assertNotIn("collapse", finished.out)
        self.assertGreaterEqual(runs.summary(run)["validation"]["active_experts"], 3)


if __name__ == "__main__":
    runs.main()
