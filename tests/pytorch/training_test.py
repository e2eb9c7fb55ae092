"""200 steps of a transformer beside PyTorch's AdamW, in float32: the same first weights, tokens and order of them."""

import math
import pathlib

import h5py
import torch

import runs
import token_runs
from torch_transformer import Shape, Transformer

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS, BATCH = 200, 16
SIZES = dict(width=48, layers=4, heads=3, hidden=128, window=32, mixture_every=2)
MOE = dict(experts=4, hidden=128, top_k=1, balance=0.01)
RATE, BETAS, EPSILON, DECAY, CLIP, WARM_UP, FLOOR = 0.003, (0.9, 0.95), 1e-8, 0.1, 1.0, 20, 0.1
# Rounding grows from step to step, and in a mixture it may send a row to another expert.
TOLERANCE = 1e-3


def rate(step):
    """Of step 1 ..., as docs/optimisers.md has it."""
    if step <= WARM_UP:
        return RATE * step / WARM_UP
    done = (step - 1 - WARM_UP) / (STEPS - WARM_UP)
    return RATE * (FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * done)) / 2)


def adamw(model):
    """Which decays matrices alone, not the embedding, norms and routers."""
    named = model.named_arrays()
    decaying = [p for name, p in named.items() if p.dim() == 2 and not name.startswith("embedding") and "/gate/" not in name]
    others = [p for p in named.values() if all(p is not other for other in decaying)]
    groups = [{"params": decaying, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=RATE, betas=BETAS, eps=EPSILON)


def train(model, tokens, targets):
    """Losses with those of regularisers, and norms of the gradient, of each step."""
    optimiser = adamw(model)
    losses, norms = [], []
    for step in range(1, STEPS + 1):
        rows = slice((step - 1) * BATCH, step * BATCH)
        task, regularisers = model.losses(tokens[rows], targets[rows])
        loss = task + sum(regularisers.values())
        optimiser.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP).item())
        for group in optimiser.param_groups:
            group["lr"] = rate(step)
        optimiser.step()
        losses.append(loss.item())
    return losses, norms


class Training(token_runs.TokenTest):
    base_keys = {"run.seed": 3, "run.threads": 1, "data.source": "text", "model.family": "transformer",
                 "train.batch_size": BATCH, "train.order": "fixed", "train.epochs": 1,
                 **{f"transformer.{name}": value for name, value in SIZES.items()}}
    ADAMW = dict(train_max_steps=STEPS, optim_name="adamw", optim_learning_rate=RATE, optim_beta1=BETAS[0], optim_beta2=BETAS[1],
                 optim_epsilon=EPSILON, optim_weight_decay=DECAY, optim_clip_norm=CLIP, optim_warmup_steps=WARM_UP,
                 optim_schedule="cosine", optim_floor=FLOOR, optim_schedule_steps=STEPS)

    @classmethod
    def write_data(cls):
        """What is written of this program, and its headers."""
        texts = [b"".join(file.read_bytes() for file in sorted(ROOT.glob(files))) for files in ("docs/**/*.md", "src/**/*.hpp")]
        token_runs.write_texts(cls.data, texts)
        config, _ = cls.write_config()
        file = cls.new_path("samples.h5")
        finished = runs.switchyard("samples", config, f"--out={file}")
        if finished.code != 0:
            raise AssertionError(finished)
        with h5py.File(file) as opened:
            cls.tokens, cls.targets = (torch.as_tensor(opened[f"train/{name}"][()]) for name in ("tokens", "targets"))
        if len(cls.tokens) < STEPS * BATCH:
            raise AssertionError(f"{len(cls.tokens)} windows are too few")

    def check(self, moe, **keys):
        keys |= {f"moe_{name}": value for name, value in moe.items()}
        first = self.train(**keys, optim_name="sgd", optim_learning_rate=1e-30, train_max_steps=1)
        arrays = {name: array for name, array in token_runs.parameters(runs.newest_checkpoint(first)).items()}
        run = self.train(**keys, **self.ADAMW, init_from=first)
        steps = [found for found in runs.metrics(run) if found["kind"] == "step"]
        self.assertEqual([found["step"] for found in steps], list(range(1, STEPS + 1)))

        shape = dict(SIZES, mixture_every=keys.get("transformer_mixture_every", SIZES["mixture_every"]))
        if moe:
            shape |= {name: moe[name] for name in ("experts", "top_k", "sub_heads") if name in moe}
            shape |= dict(expert_hidden=moe["hidden"], regularisers=(("balance", moe["balance"]),))
        losses, norms = train(Transformer(Shape(**shape)).load(arrays).float(), self.tokens, self.targets)
        worst = max(abs(found["loss"] - loss) for found, loss in zip(steps, losses))
        worst_norm = max(abs(found["gradient_norm"] / norm - 1) for found, norm in zip(steps, norms))
        print(f"\n{keys}: loss {losses[0]:.4f} to {losses[-1]:.4f}; losses differ by {worst:.2e} at most, norms of gradients "
              f"by {worst_norm:.1e} of themselves", flush=True)
        self.assertLess(losses[-1], losses[0] - 1, "nothing was learned")
        self.assertLessEqual(worst, TOLERANCE)
        return steps, losses

    def test_dense(self):
        self.check({}, transformer_mixture_every=0)

    def test_mixture(self):
        self.check(MOE)

    def test_multi_head(self):
        self.check({**MOE, "sub_heads": 2, "top_k": 2, "experts": 8, "hidden": 64})


if __name__ == "__main__":
    runs.main()
