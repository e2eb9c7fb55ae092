"""Which experts see a sample, and how they weigh: docs/gates.md has the formulas.

N samples, E experts, K slots of a sample; arrays in float64.
"""

import dataclasses
import math

import numpy

from .errors import ReadError, one_of
from .network import Network, product
from .noise import noise_of


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - numpy.log(numpy.exp(x).sum(-1, keepdims=True))


def log_sigmoid(x):
    return numpy.minimum(x, 0) - numpy.log1p(numpy.exp(-numpy.abs(x)))


@dataclasses.dataclass
class Batch:
    """Samples as networks see them [N, channels, height, width], their labels [N] or None, and where in which split they are."""
    x: numpy.ndarray
    labels: numpy.ndarray
    split: str
    places: range


@dataclasses.dataclass
class Scores:
    """[N, E] each; the same without noise."""
    clean: numpy.ndarray
    noisy: numpy.ndarray


@dataclasses.dataclass
class Weights:
    """[N, K] each: of the mixture, their logarithms (of which the largest answers), and what multiplies outputs."""
    weights: numpy.ndarray
    logs: numpy.ndarray
    factors: numpy.ndarray


class Gate:
    """The ways of a row of the table below: the experts of samples, and, once these have run, their weights."""

    reads_labels = False
    reads_hidden = False  # of the experts
    chooses = False  # by scores of its own, so that moe.top_k may be another one

    def __init__(self, config, arrays, in_bf16):
        self.config = config
        self.experts = config["moe.experts"]
        self.read(arrays, in_bf16)

    def read(self, arrays, in_bf16):
        """The gate's arrays by name, running statistics and the bias of the choice among them."""

    def route(self, batch):
        """experts [N, K], and Scores where they are known before experts run."""
        return self.all_experts(batch), None

    def weigh(self, batch, experts, scores, outputs, hidden):
        """Weights; outputs [N, K, C] and hidden [N, K, H] are the experts'."""
        ones = numpy.ones(experts.shape)
        return Weights(ones, ones * 0, ones)

    def all_experts(self, batch):
        return numpy.tile(numpy.arange(self.experts), (len(batch.x), 1))

    def weights_of(self, scores, experts):
        """By the scores of the chosen experts, or of all: moe.scores, moe.normalise, moe.scale and moe.gate_value."""
        config, noisy = self.config, scores.noisy
        scores = noisy if config["moe.gate_value"] == "noisy_softmax" else scores.clean
        of_sigmoids = config["moe.scores"] == "sigmoid"
        v = log_sigmoid(scores) if of_sigmoids else scores
        is_one = config["moe.top_k"] == 1 or self.experts == 1
        of_chosen = numpy.take_along_axis(v, experts, 1)
        if config["moe.normalise"] == "chosen" or (config["moe.normalise"] == "auto" and not is_one):
            logs = log_softmax(of_chosen)
        else:
            logs = of_chosen if of_sigmoids else numpy.take_along_axis(log_softmax(v), experts, 1)
        weights = numpy.exp(logs)
        is_score = config["moe.gate_value"] == "noisy_logit"
        factors = numpy.take_along_axis(noisy, experts, 1) if is_score else weights * config["moe.scale"]
        return Weights(weights, logs, factors)


class ScoreGate(Gate):
    """... dense:experts, or patch filters: scores by a network of the sample."""

    chooses = True
    skipped_words = 0

    def read(self, arrays, in_bf16):
        self.network = Network(self.config["model.gate"], arrays, self.skipped_words, in_bf16)
        self.bias = arrays["choice/bias"] if self.config["moe.bias_rate"] > 0 else 0

    def scores(self, x):
        return self.network(x)

    def route(self, batch):
        clean, top_k = self.scores(batch.x), self.config["moe.top_k"]
        scores = Scores(clean, clean)
        if self.config["moe.noise"] != "none" and self.config["moe.noise_when"] == "always":
            scores.noisy = clean + noise_of(self.config, batch.split, batch.places)
        if top_k == 0:
            return self.all_experts(batch), scores
        order = numpy.argsort(-self.chosen_by(scores.noisy), 1, kind="stable")  # ties to the lower expert
        return order[:, :top_k], scores

    def chosen_by(self, scores):
        config = self.config
        if config["moe.top_k"] >= self.experts or (config["moe.bias_rate"] == 0 and config["moe.groups"] == 0):
            return scores
        of_sigmoids = config["moe.scores"] == "sigmoid"
        shares = numpy.exp(log_sigmoid(scores) if of_sigmoids else log_softmax(scores)) + self.bias
        if config["moe.groups"] == 0:
            return shares
        groups = shares.reshape(len(shares), config["moe.groups"], -1)
        merit = numpy.sort(groups, 2)[:, :, -2:].sum(2)
        best = numpy.argsort(-merit, 1, kind="stable")[:, :config["moe.top_groups"]]
        is_best = numpy.zeros(merit.shape, bool)
        numpy.put_along_axis(is_best, best, True, 1)
        return numpy.where(is_best[:, :, None], groups, -numpy.inf).reshape(shares.shape)

    def weigh(self, batch, experts, scores, outputs, hidden):
        return self.weights_of(scores, experts)


class CosineGate(ScoreGate):
    """... cosine:experts (Chi et al. 2022)."""

    skipped_words = 1

    def read(self, arrays, in_bf16):
        super().read(arrays, in_bf16)
        self.projection = product(_float64(arrays["projection/weight"]), in_bf16=in_bf16)
        scale = math.exp(float(arrays["cosine_1/log_scale"][0])) / self.config["moe.cosine_temperature"]
        self.vectors = scale * _unit(_float64(arrays["cosine_1/weight"]))

    def scores(self, x):
        return _unit(self.projection(self.network(x))) @ self.vectors.T


class AttentiveGate(Gate):
    """... attention:experts (Krishnamurthy et al. 2023)."""

    reads_hidden = True

    def read(self, arrays, in_bf16):
        self.network = Network(self.config["model.gate"], arrays, 1, in_bf16)
        self.query = product(_float64(arrays["query/weight"]), in_bf16=in_bf16)
        self.key = product(_float64(arrays["key/weight"]), in_bf16=in_bf16)

    def weigh(self, batch, experts, scores, outputs, hidden):
        u = self.key(self.query(self.network(batch.x)))
        scores = numpy.einsum("nh,neh->ne", u, hidden) / math.sqrt(u.shape[1])
        return self.weights_of(Scores(scores, scores), experts)


class MostCertainGate(Gate):
    """most_certain:experts: minus the entropies of the experts' distributions, in bits; the largest answers alone."""

    def weigh(self, batch, experts, scores, outputs, hidden):
        logs = log_softmax(outputs)
        certainty = (numpy.exp(logs) * logs).sum(2) / math.log(2)
        alone = numpy.full(certainty.shape, -numpy.inf)
        numpy.put_along_axis(alone, certainty.argmax(1)[:, None], 0, 1)
        weights = numpy.exp(log_softmax(certainty))
        return Weights(weights, alone, weights)


class LabelGate(Gate):
    """by_label:experts: moe.partition says whose a label is."""

    reads_labels = True

    def read(self, arrays, in_bf16):
        groups = self.config["moe.partition"].split("|")
        self.expert_of = {int(label): expert for expert, group in enumerate(groups) for label in group.split()}

    def route(self, batch):
        labels = batch.labels
        missing = sorted(set(labels.tolist()) - set(self.expert_of))
        if missing:
            raise ReadError(f"label {missing[0]} is none of moe.partition = {self.config['moe.partition']} (it has no expert); "
                            "give labels of the run's classes")
        return numpy.array([[self.expert_of[label]] for label in labels.tolist()]), None


# What model.gate ends in, without :experts; "" is a layer with an output for each expert.
GATES = {"": ScoreGate, "cosine": CosineGate, "attention": AttentiveGate, "most_certain": MostCertainGate, "by_label": LabelGate,
         "none": Gate}


def gate_of(config, arrays, in_bf16):
    """The gate of a configuration."""
    words = config["model.gate"].split()
    last = words[-1].partition(":")[0] if words else ""
    end = "" if last in ("dense", "sum") else last
    if end not in GATES:
        raise ReadError(f"model.gate = {config['model.gate']} ends in no gate that this reader knows (it knows dense:experts, "
                        f"sum:experts, {one_of(filter(None, GATES))}); install the switchyard-reader of the program's version")
    return GATES[end](config, arrays, in_bf16)


def dropped_slots(config, experts, weights):
    """[N, K] of a batch: where its expert has no place left, with moe.capacity and moe.capacity_when = always."""
    dropped = numpy.zeros(experts.shape, bool)
    if config["moe.capacity"] == 0 or config["moe.capacity_when"] != "always":
        return dropped
    exact = config["moe.capacity"] * experts.size / config["moe.experts"]
    places = math.ceil(exact * (1 - 1e-12))  # what rounding added makes no place
    # First choices of all samples come before any second one.
    by_slot, lost = experts.T.ravel(), numpy.zeros(experts.size, bool)
    merit = weights.T.ravel().astype(numpy.float32) if config["moe.drop"] == "score" else numpy.zeros(experts.size)
    for expert in range(config["moe.experts"]):
        slots = numpy.flatnonzero(by_slot == expert)
        lost[slots[numpy.argsort(-merit[slots], kind="stable")[places:]]] = True
    return lost.reshape(experts.T.shape).T


def _float64(values):
    return numpy.asarray(values, numpy.float64)


def _unit(x):
    return x / numpy.sqrt((x**2).sum(-1, keepdims=True) + 1e-6)
