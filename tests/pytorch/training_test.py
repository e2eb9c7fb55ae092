"""200 steps of a transformer beside PyTorch's AdamW, in float32: the same first weights, tokens and order of them."""

import runs
import token_runs
import torch_training
from torch_transformer import Transformer, shape_of

SEED, STEPS, BATCH = 3, 200, 16
# Rounding grows from step to step, and in a mixture it may send a row to another expert.
TOLERANCE = 1e-3


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
        losses, norms, loads = [], [], []
        for rows in torch_training.batches(len(tokens), BATCH, SEED, STEPS):
            loss, norm = trainer.step(tokens[rows], targets[rows])
            losses.append(loss)
            norms.append(norm)
            loads.append([mixture.routing.is_chosen.sum(0).tolist() for mixture in model.mixtures()])
        worst = max(abs(found["loss"] - loss) for found, loss in zip(steps, losses))
        worst_norm = max(abs(found["gradient_norm"] / norm - 1) for found, norm in zip(steps, norms))
        same = next((n for n in range(STEPS) if [layer["load"] for layer in steps[n]["layers"]] != loads[n]), STEPS)
        print(f"\n{keys}: loss {losses[0]:.4f} to {losses[-1]:.4f}; losses differ by {worst:.1e} at most, norms of gradients by "
              f"{worst_norm:.1e} of themselves; loads are the same in the first {same} steps", flush=True)
        self.assertLess(losses[-1], losses[0] - 1, "nothing was learned")
        self.assertLessEqual(worst, TOLERANCE)

    def test_dense(self):
        self.check(transformer_mixture_every=0)

    def test_mixture(self):
        self.check(transformer_mixture_every=2, moe_experts=4, moe_top_k=1, moe_hidden=128, moe_balance=0.01)

    def test_multi_head(self):
        self.check(transformer_mixture_every=2, moe_experts=8, moe_top_k=2, moe_hidden=64, moe_sub_heads=2, moe_balance=0.01)


if __name__ == "__main__":
    runs.main()
