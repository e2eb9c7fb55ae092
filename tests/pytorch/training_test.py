"""200 steps of a transformer beside PyTorch's AdamW, in float32: the same first weights, tokens and order of them."""

import runs
import token_runs
import torch_training
from torch_transformer import Transformer, shape_of

SEED, STEPS, BATCH = 4, 200, 16
TOLERANCE = 1e-5  # losses are float32 numbers below 8, of which rounding is 5e-7
# Of a row whose two best experts are nearer than that, rounding may choose; what follows then is another run.
NEAREST_CHOICE = 1e-5
OF_ALL_STEPS = 1e-3  # with this seed: with others a row that goes elsewhere has moved losses by up to 4e-3


class Training(torch_training.TextTest):
    base_keys = {"run.seed": SEED, "run.threads": 1, "data.source": "text", "model.family": "transformer", "transformer.width": 48,
                 "transformer.layers": 4, "transformer.heads": 3, "transformer.hidden": 128, "transformer.window": 32,
                 "train.batch_size": BATCH, "train.epochs": 1, "train.max_steps": STEPS}
    ADAMW = torch_training.ADAMW | {"optim_schedule_steps": STEPS, "optim_warmup_steps": 20}

    def check(self, **keys):
        first = self.train(**keys, optim_name="sgd", optim_learning_rate=1e-30, train_max_steps=1)
        run = self.train(**keys, **self.ADAMW, init_from=first)
        steps = [found for found in runs.metrics(run) if found["kind"] == "step"]
        self.assertEqual([found["step"] for found in steps], list(range(1, STEPS + 1)))

        model = Transformer(shape_of(self.base_keys | torch_training.dotted(keys))).float()
        model.load(token_runs.parameters(runs.newest_checkpoint(first)))
        trainer = torch_training.Trainer(model, torch_training.dotted(self.ADAMW))
        tokens, targets = self.windows["train"]
        losses, norms, loads, margins = [], [], [], []
        for rows in torch_training.batches(len(tokens), BATCH, SEED, STEPS):
            loss, norm = trainer.step(tokens[rows], targets[rows])
            losses.append(loss)
            norms.append(norm)
            routings = [mixture.routing for mixture in model.mixtures()]
            loads.append([routing.is_chosen.sum(0).tolist() for routing in routings])
            margins.append([routing.margin.min().item() for routing in routings])
        is_same = [[layer["load"] for layer in step["layers"]] == load for step, load in zip(steps, loads)]
        same = (is_same + [False]).index(False)
        differences = [abs(found["loss"] - loss) for found, loss in zip(steps, losses)]
        of_norms = [abs(found["gradient_norm"] / norm - 1) for found, norm in zip(steps, norms)]
        print(f"\n{keys}: loss {losses[0]:.4f} to {losses[-1]:.4f}; loads are the same in the first {same} steps, whose losses differ "
              f"by {max(differences[:same]):.1e} at most and norms of gradients by {max(of_norms[:same]):.1e} of themselves; losses "
              f"of all steps by {max(differences):.1e}", flush=True)
        self.assertLess(losses[-1], losses[0] - 1, "nothing was learned")
        self.assertLessEqual(max(differences[:same]), TOLERANCE)
        self.assertLessEqual(max(differences), OF_ALL_STEPS)
        if same < STEPS:
            # A row of the first mixture that differs: the ones behind it see other rows.
            layer = next(n for n, found in enumerate(steps[same]["layers"]) if found["load"] != loads[same][n])
            self.assertLess(margins[same][layer], NEAREST_CHOICE, f"step {same + 1}: rows went elsewhere without a reason")

    def test_dense(self):
        self.check(transformer_mixture_every=0)

    def test_mixture(self):
        self.check(transformer_mixture_every=2, moe_experts=4, moe_top_k=1, moe_hidden=128, moe_balance=0.01)

    def test_multi_head(self):
        self.check(transformer_mixture_every=2, moe_experts=8, moe_top_k=2, moe_hidden=64, moe_sub_heads=2, moe_balance=0.01)


if __name__ == "__main__":
    runs.main()
