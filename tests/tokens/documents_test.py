"""Windows that hold several documents (data.pack): what attention sees of them, beside float64."""

import h5py
import numpy

import runs
import token_reference as reference
import token_runs

WINDOW, WINDOWS, HEADS = 24, 30, 2


def page(number):
    random = numpy.random.default_rng(number)
    return b" ".join(random.choice([b"switch", b"yard", b"wagon", b"track", b"%d" % number]) for _ in range(random.integers(4, 12)))


class Documents(runs.RunTest):
    base_keys = {"run.seed": 3, "run.threads": 1, "data.source": "tokens", "model.family": "transformer",
                 "transformer.width": 12, "transformer.layers": 2, "transformer.heads": HEADS, "transformer.hidden": 10,
                 "transformer.window": WINDOW, "moe.experts": 4, "moe.top_k": 1, "moe.hidden": 7, "optim.name": "sgd",
                 "optim.learning_rate": 1e-30, "train.order": "fixed", "train.batch_size": WINDOWS, "train.max_steps": 1}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        pages = cls.new_path("pages")
        token_runs.write_texts(pages, [page(number) for number in range(600)])
        cls.file = cls.new_path("tokens.h5")
        made = runs.switchyard("corpus", pages, "--vocabulary=300", f"--out={cls.file}")
        if made.code != 0:
            raise AssertionError(made)
        with h5py.File(cls.file) as file:
            begin, split = file["document_begin"][:], file["document_split"][:]
            cls.tokens = file["tokens"][: begin[numpy.flatnonzero(split == 0)[-1] + 1]].astype(int)
            cls.end = int(file["end_of_document"][()])

    def expected_loss(self, parameters, end):
        tokens = self.tokens[: WINDOWS * WINDOW].reshape(WINDOWS, WINDOW)
        targets = self.tokens[1 : WINDOWS * WINDOW + 1].reshape(WINDOWS, WINDOW)
        model = reference.Model(4, top_k=1, heads=HEADS, end_of_document=end)
        return reference.step(model, parameters, tokens, targets)[0]

    def test_attention_stays_in_a_document_where_it_is_told_to(self):
        losses = {}
        for across, end in (("yes", -1), ("no", self.end)):
            for ranks in (0, 3):
                run = self.train(ranks=ranks, data_file=self.file, transformer_across_documents=across)
                first = runs.metrics(run)[0]
                expected = self.expected_loss(token_runs.parameters(runs.newest_checkpoint(run)), end)
                norm = numpy.sqrt(sum((gradient**2).sum() for gradient in expected.gradients.values()))
                self.assertAlmostEqual(first["loss"], expected.loss, delta=1e-5 * expected.loss)
                self.assertAlmostEqual(first["gradient_norm"], norm, delta=1e-5 * norm)
                losses[across] = first["loss"]
            said = self.expect(runs.switchyard("export", run, f"--out={self.new_path()}"), 0).out
            self.assertEqual("transformer.across_documents = no (" in said, across == "no")
        self.assertNotAlmostEqual(losses["yes"], losses["no"], delta=1e-4)


if __name__ == "__main__":
    runs.main()
