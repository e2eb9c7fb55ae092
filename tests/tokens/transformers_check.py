"""Exported models under Hugging Face's transformers: their logits beside those of the float64 reference, their loss of the
test split beside that of `switchyard eval`. No test of ctest, since it takes packages that no other test needs:

    python3 -m venv VENV && VENV/bin/pip install torch transformers h5py
    PYTHONPATH=tests/support VENV/bin/python tests/tokens/transformers_check.py build/release/switchyard MEND_CHECKPOINT
"""

import json

import h5py
import numpy
import torch
import transformers

import runs
import token_reference as reference
import token_runs

EXPERTS, HEADS = 5, 3
TOLERANCE = 1e-5  # of logits of the order of 1: float32 beside float64
KEYS = {name: value for name, value in token_runs.BASE_KEYS.items()
        if not name.startswith(("model.", "tokens.", "data.window"))}
KEYS |= {"model.family": "transformer", "transformer.width": 24, "transformer.layers": 4, "transformer.heads": HEADS,
         "transformer.hidden": 20, "transformer.window": 64, "transformer.rotary_base": 500, "moe.hidden": 16,
         "moe.experts": EXPERTS, "train.max_steps": 60, "train.batch_size": 16, "optim.learning_rate": 1e-2}
MODELS = {"mixtral": [dict(moe_top_k=2, transformer_mixture_every=1), dict(moe_top_k=0, transformer_mixture_every=1)],
          "qwen2_moe": [dict(moe_top_k=1, transformer_mixture_every=2), dict(moe_top_k=3),
                        dict(moe_top_k=2, moe_normalise="all", transformer_mixture_every=1, moe_shared_hidden=10),
                        dict(moe_top_k=2, transformer_mixture_every=3, moe_shared_hidden=10)],
          "llama": [dict(transformer_mixture_every=0)]}


class Exported(token_runs.TokenTest):
    base_keys = KEYS

    def run_and_export(self, keys):
        config, run = self.write_config(**keys)
        self.expect(runs.switchyard("train", config), 0)
        samples, folder = self.new_path("samples.h5"), self.new_path("exported")
        self.expect(runs.switchyard("samples", config, f"--out={samples}"), 0)
        said = self.expect(runs.switchyard("export", run, f"--out={folder}"), 0).out
        with h5py.File(samples) as file:
            return run, folder, said, torch.tensor(file["test/tokens"][()]), torch.tensor(file["test/targets"][()])

    def check(self, layout, keys):
        run, folder, said, tokens, targets = self.run_and_export(keys)
        self.assertIn(f": layout {layout}\n", said)
        model, loading = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True, attn_implementation="eager")
        for what, names in loading.items():
            self.assertFalse(names, what)
        with torch.no_grad():
            logits = model.eval()(input_ids=tokens).logits

        few = slice(0, 40)
        of_model = reference.Model(EXPERTS, top_k=keys.get("moe_top_k", 0), normalise=keys.get("moe_normalise", "auto"),
                                   heads=HEADS, rotary_base=KEYS["transformer.rotary_base"])
        expected, _ = reference.step(of_model, token_runs.parameters(runs.newest_checkpoint(run)), tokens[few].numpy(),
                                     targets[few].numpy())
        self.assertGreater(min((routing.margin for routing in expected.routings), default=1), 1e-6)
        difference = abs(logits[few].numpy().reshape(expected.logits.shape) - expected.logits).max()
        self.assertGreater(abs(expected.logits).max(), 1)
        self.assertLess(difference, TOLERANCE)

        loss = torch.nn.functional.cross_entropy(logits.double().flatten(0, 1), targets.flatten()).item()
        ours = json.loads(self.expect(runs.switchyard("eval", run), 0).out)["loss"]
        self.assertAlmostEqual(loss, ours, delta=1e-6)
        print(f"{layout} {keys}: logits up to {abs(expected.logits).max():.2f} differ by {difference:.1e}, "
              f"losses {loss:.7f} and {ours:.7f}", flush=True)
        return folder, model, run

    def test_logits_and_losses(self):
        for layout, models in MODELS.items():
            for keys in models:
                with self.subTest(layout=layout, **keys):
                    self.check(layout, keys)

    def test_what_transformers_saves_is_imported(self):
        for layout, models in MODELS.items():
            with self.subTest(layout=layout):
                folder, model, run = self.check(layout, models[-1])
                saved, file = self.new_path("saved"), self.new_path("imported.h5")
                model.save_pretrained(saved)
                self.expect(runs.switchyard("import", saved, f"--out={file}", f"--config={folder / 'switchyard.ini'}"), 0)
                ours, again = (token_runs.parameters(of) for of in (runs.newest_checkpoint(run), file))
                self.assertEqual(sorted(ours), sorted(again))
                for name, array in ours.items():
                    numpy.testing.assert_array_equal(array, again[name], name)


if __name__ == "__main__":
    runs.main()
