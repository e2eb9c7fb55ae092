"""What a run and a plan say of each kind of gate."""

import re

import runs

GATES = {
    "network": {},
    "noise": {"moe_top_k": 1, "moe_noise": "uniform", "moe_gate_value": "noisy_softmax"},
    "temperature": {"moe_top_k": 2, "moe_expert_temperature": 2.5},
    "attention": {"model_gate": "conv:4 relu max_pool attention:experts"},
    "most_certain": {"model_gate": "most_certain:experts", "moe_importance": 0},
    "labels": {"model_gate": "by_label:experts", "moe_partition": "0 5 | 1 | 2 | 3 | 4", "moe_importance": 0},
    "none": {"model_gate": "none", "moe_experts": 1, "moe_importance": 0},
}


class Table(runs.RunTest):
    """The tables at the start and the end of a run."""

    def output_of(self, name):
        config, _ = self.write_config(**{"train_max_steps": 1, **GATES[name]})
        return self.expect(runs.switchyard("train", config), 0).out

    def rows_of(self, output):
        return {key: value for key, value in re.findall(r"(?m)^ +(experts|routing|loss) {2,}(.*)$",
                                                        output.partition("\nresult")[0])}

    def test_the_table_says_what_was_decided(self):
        dense = "5, dense (every expert sees every sample)"
        regularised = "likelihood + 0.2 importance"
        for name, experts, routing, loss in (
                ("network", dense, "weight softmax, noise none", regularised),
                ("noise", "5, top-1", "weight noisy_softmax, noise uniform of scale 1 (every_step, training)", regularised),
                ("temperature", "5, top-2", "weight softmax, noise none, experts learn at temperature 2.5", regularised),
                ("attention", dense, "queries and keys of width 16", regularised),
                ("most_certain", dense, "the most certain expert answers", "likelihood"),
                ("labels", "5, one by its label", "labels 0 5 | 1 | 2 | 3 | 4", "likelihood"),
                ("none", "1, nothing to choose", "none, a single expert", "likelihood")):
            with self.subTest(name):
                rows = self.rows_of(self.output_of(name))
                self.assertEqual(rows, {"experts": experts, "routing": routing, "loss": loss})

    def test_a_single_expert_has_no_tables_of_experts(self):
        for name, tables in (("labels", True), ("none", False)):
            output = self.output_of(name).partition("\nresult")[2]
            self.assertRegex(output, r"\n  error ")
            for found in ("experts on test", "class by expert", "H_s", "I(E;Y)"):
                self.assertEqual(found in output, tables, f"{found} of {name}: {output}")


class Plan(runs.RunTest):
    BATCH = 900
    RANKS = 3

    def plan(self, **sections):
        config, _ = self.write_config(train_batch_size=self.BATCH, moe_importance=0, **sections)
        output = self.expect(runs.switchyard("plan", config, f"--ranks={self.RANKS}"), 0).out
        by_rank = {}
        for line in output.partition("by rank")[2].splitlines():
            words = re.fullmatch(r" +(\d+) +(\d+) +(\d+) +([\d.]+) MiB +([\d.]+) MiB +([\d.]+) MiB +([\d.]+) MiB", line)
            if words:
                by_rank[int(words[1])] = [float(word) for word in words.groups()[1:]]
        self.assertEqual(len(by_rank), self.RANKS, output)
        return output, by_rank

    # To the rank of a sample and back, from the experts that other ranks host: 32-bit floats in MiB.
    def check_outputs(self, by_rank, slots, width, experts=runs.EXPERTS):
        for hosted, samples, *_, outputs in by_rank.values():
            expected = 2 * samples * slots * (1 - hosted / experts) * width * 4 / 2**20
            self.assertGreater(expected, 1)
            self.assertAlmostEqual(outputs, expected, delta=0.051)

    def test_of_replicas(self):
        keys = dict(model_gate="conv:4 relu max_pool dense:8 relu attention:experts", model_expert=self.EXPERT,
                    moe_gradient_blocks=3)
        _, once = self.plan(**keys)
        output, by_rank = self.plan(**keys, moe_replicas=3)
        self.assertIn("3 replicas of each expert: gradients are sums over 3 blocks of its rows; a rank sends up to", output)
        self.assertEqual([row[0] for row in by_rank.values()], [runs.EXPERTS] * self.RANKS)
        self.assertEqual([row[1] for row in by_rank.values()], [row[1] for row in once.values()])
        # Each rank has all experts, and a third of their rows. Of sums over blocks the one rank of an expert holds three at a
        # time, and each of three ranks its own and a third of what all three are finished from.
        parameters = runs.EXPERTS * (9 + 1 + 49 * 2048 + 2048 + 2048 * runs.CLASSES + runs.CLASSES)
        sums = (3 * (1 + 1) - 3) * parameters * 4 / 2**20
        found = sum(row[3] for row in by_rank.values()) - sum(row[3] for row in once.values())
        # Beside them there are two more paddings of each expert's rows, of 32 on average, a row of some 10,000 numbers.
        self.assertAlmostEqual(found, sums + 2 * runs.EXPERTS * 32 * 10_000 * 4 / 2**20, delta=1)
        self.check_outputs(by_rank, runs.EXPERTS, runs.CLASSES + 2048, experts=3 * runs.EXPERTS)

    EXPERT = "conv:1 relu max_pool dense:2048 relu dense:classes"

    def test_hidden_vectors_travel_back_where_attention_looks_at_them(self):
        gate = "conv:4 relu max_pool dense:8 relu "
        output, attentive = self.plan(model_gate=gate + "attention:experts", model_expert=self.EXPERT)
        self.check_outputs(attentive, runs.EXPERTS, runs.CLASSES + 2048)
        self.assertRegex(output, r"gradients of the gate's matrices")
        for rows, columns in ((196, 8), (8, 2048), (2048, 2048)):
            self.assertRegex(output, rf"(?m)^ +{rows} x {columns} ")
        gate_parameters = (36 + 4) + (196 * 8 + 8) + 8 * 2048 + 2048 * 2048
        self.assertIn(f"gate {gate_parameters:,}, an expert", output)
        _, plain = self.plan(model_gate=gate + "dense:experts", model_expert=self.EXPERT)
        for rank in range(self.RANKS):
            self.assertLess(plain[rank][-1], 0.3)

    def test_a_gate_without_a_network_has_no_gradients(self):
        for name, experts, choice in (("most_certain", 5, "dense"), ("labels", 5, "one by its label"),
                                      ("none", 1, "nothing to choose")):
            with self.subTest(name):
                output, _ = self.plan(**{key: value for key, value in GATES[name].items() if key != "moe_importance"})
                self.assertNotIn("gradients of the gate's matrices", output)
                self.assertIn(f"{experts} experts on {self.RANKS} rank(s), {choice};", output)
                self.assertIn("parameters: gate 0, an expert", output)

    def test_multiply_adds_of_a_sample(self):
        output, _ = self.plan(model_gate="dense:experts", model_expert="dense:32 relu dense:classes", moe_top_k=2)
        gate, expert = runs.IMAGE_SIDE**2 * runs.EXPERTS, 32 * (runs.IMAGE_SIDE**2 + runs.CLASSES)
        self.assertIn(f"multiply-adds of a sample, forward: gate {gate:,}, an expert {expert:,}, in all {gate + 2 * expert:,}\n", output)

    def test_labels_send_a_sample_to_one_expert(self):
        features = runs.IMAGE_SIDE**2
        _, by_rank = self.plan(**{key: value for key, value in GATES["labels"].items() if key != "moe_importance"})
        for hosted, samples, _, _, dispatched, _ in by_rank.values():
            expected = (self.BATCH - samples) * (hosted / 5) * features * 4 / 2**20
            self.assertGreater(expected, 0.1)
            self.assertAlmostEqual(dispatched, expected, delta=0.051)


if __name__ == "__main__":
    runs.main()
