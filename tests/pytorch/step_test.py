"""A step of a transformer beside the same in PyTorch, in float64: losses, routing, every gradient, and logits.

As every program of this folder it needs PyTorch, is run by hand and is no test of `ctest`.
"""

import numpy
import torch

import runs
import token_reference as reference
import token_runs
import token_steps
from token_runs import EXPERTS, WINDOW
from torch_transformer import REGULARISERS, Transformer, shape_of

SIZES = dict(width=24, layers=3, heads=2, hidden=20, window=WINDOW, mixture_every=2)
EXPERT_HIDDEN = 14
KEYS = {name: value for name, value in token_runs.BASE_KEYS.items()
        if not name.startswith(("model.", "tokens.", "data.window"))}
KEYS |= {"model.family": "transformer", "moe.hidden": EXPERT_HIDDEN}
KEYS |= {f"transformer.{name}": value for name, value in SIZES.items()}


def model_of(keys, parameters):
    """In float64, of the keys beside KEYS (moe_top_k=2)."""
    shape = shape_of(KEYS | {name.replace("_", ".", 1): value for name, value in keys.items()})
    return Transformer(shape).double().load({name: array.astype(float) for name, array in parameters.items()})


class TorchTest(token_steps.StepTest):
    base_keys = KEYS
    MIXTURES = ["blocks/01/mixture"]

    def random_parameters(self, random, keys):
        every = keys.get("transformer_mixture_every", SIZES["mixture_every"])
        return reference.random_transformer(random, SIZES["layers"], SIZES["width"], SIZES["hidden"], EXPERTS, EXPERT_HIDDEN,
                                            every, keys.get("moe_sub_heads", 1), keys.get("moe_shared_hidden", 0),
                                            tied=keys.get("transformer_tied") != "no")

    def expected_step(self, keys, parameters, tokens, targets, biases):
        model = model_of(keys, parameters)
        tokens, targets = torch.as_tensor(tokens), torch.as_tensor(targets)
        task_loss, losses = model.losses(tokens, targets)
        loss = task_loss + sum(losses.values())
        loss.backward()
        with torch.no_grad():
            error = (model(tokens).argmax(2) != targets).double().mean().item()
        routings = [mixture.routing for mixture in model.mixtures()]
        for routing in routings:
            routing.margin = routing.margin.min().item()
            routing.dropped = routing.dropped.item()
            for name in ("p", "weights", "is_chosen"):
                setattr(routing, name, getattr(routing, name).detach().numpy())
        losses = {name: losses[name].item() if name in losses else 0 for name in reference.REGULARISERS}
        gradients = {name: parameter.grad.numpy() for name, parameter in model.named_arrays().items()}
        return reference.Step(loss.item(), task_loss.item(), error, losses, gradients, routings)


class Steps(TorchTest):
    def test_dense(self):
        self.check(transformer_mixture_every=0)
        self.check(transformer_mixture_every=0, transformer_rotary_base=100)

    def test_untied(self):
        self.check(transformer_mixture_every=0, transformer_tied="no")
        self.check(moe_top_k=2, transformer_tied="no")

    def test_mixtures(self):
        for top_k in (1, 2, 0):
            with self.subTest(top_k=top_k):
                self.check(moe_top_k=top_k)

    def test_sub_tokens(self):
        for sub_heads, top_k in ((2, 1), (2, 2), (3, 2)):
            with self.subTest(sub_heads=sub_heads, top_k=top_k):
                self.check(moe_sub_heads=sub_heads, moe_top_k=top_k, moe_balance=0.2)

    def test_shared_experts(self):
        for sub_heads in (1, 3):
            with self.subTest(sub_heads=sub_heads):
                self.check(moe_top_k=2, moe_sub_heads=sub_heads, moe_shared_hidden=9)

    def test_weights(self):
        for top_k, normalise in ((1, "all"), (2, "chosen"), (2, "all")):
            for scores in ("softmax", "sigmoid"):
                with self.subTest(top_k=top_k, normalise=normalise, scores=scores):
                    self.check(moe_top_k=top_k, moe_scores=scores, moe_normalise=normalise, moe_scale=1.5)

    def test_capacity(self):
        for drop in ("position", "score"):
            for keys in (dict(moe_top_k=1), dict(moe_top_k=2, moe_balance=0.2), dict(moe_top_k=2, moe_sub_heads=2)):
                with self.subTest(drop=drop, **keys):
                    expected = self.check(moe_capacity="0.85", moe_drop=drop, **keys)
                    self.assertGreater(expected.routings[0].dropped, 0.05)

    def test_regularisers(self):
        for top_k in (1, 2):
            with self.subTest(top_k=top_k):
                self.check(moe_top_k=top_k, **{f"moe_{name}": 0.1 + 0.05 * n for n, name in enumerate(REGULARISERS)})
        self.check(moe_top_k=2, moe_scores="sigmoid", moe_importance=0.2, moe_balance=0.2)


class Logits(TorchTest):
    def check_logits(self, **keys):
        """The program prints no logits, but the loss of a step of one window. Those of windows that differ in their last target
        t alone differ by its logit: -window loss_t = z_t + what all have."""
        prefix = numpy.random.default_rng(3).integers(97, 123, WINDOW).astype(numpy.uint8).tobytes()
        documents = [prefix + bytes([last]) for last in range(256)]
        splits = self.splits_of(documents)
        documents = [document for document, split in zip(documents, splits) if split == "train"]
        parameters = self.parameters_of(1, **keys)
        run = self.train(**{**token_steps.ONE_STEP, **keys, "data_dir": self.folder_of(*documents), "train_batch_size": 1,
                            "train_max_steps": len(documents), "optim_learning_rate": 1e-30,
                            "init_from": self.start_from(parameters, **keys)})
        losses = numpy.array([found["task_loss"] for found in runs.metrics(run) if found["kind"] == "step"])
        found = -WINDOW * losses
        with torch.no_grad():
            logits = model_of(keys, parameters)(torch.tensor([list(prefix)]))[0, -1].numpy()
        expected = logits[[document[-1] for document in documents]]
        self.assertGreater(len(found), 180)  # of 256, four in five are for training
        error = abs((found - found.mean()) - (expected - expected.mean())).max()
        self.assertLessEqual(error, token_steps.TOLERANCE * abs(expected).max())

    def test_logits(self):
        for keys in (dict(transformer_mixture_every=0), dict(moe_top_k=1), dict(moe_top_k=2, moe_sub_heads=2), dict(moe_top_k=1, transformer_tied="no"),
                     dict(moe_top_k=2, moe_sub_heads=3, moe_shared_hidden=9, moe_scores="sigmoid")):
            with self.subTest(**keys):
                self.check_logits(**keys)


if __name__ == "__main__":
    runs.main()
