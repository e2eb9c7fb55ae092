"""What a mixture says of samples, computed from a checkpoint in float64."""

import numpy

from .errors import ReadError, one_of
from .gates import Batch, dropped_slots, gate_of
from .losses import OF_NUMBERS, loss_of
from .network import Network
from .noise import SPLITS

# Keys that may be set otherwise than the run did.
SETTINGS = ("moe.top_k", "moe.bias_rate")
_ROWS = 1024  # computed at once, where a batch is not part of the arithmetic


class Model:
    """A mixture of a checkpoint: checkpoint.model() or run.model("best").

    The arrays are read when it is made, so the file may be gone afterwards.
    """

    def __init__(self, checkpoint, settings=None):
        settings = settings or {}
        for name, value in settings.items():
            if name not in SETTINGS:
                raise ReadError(f"{name} cannot be set here (settings takes {one_of(SETTINGS)}); leave it out, or see whether "
                                "`switchyard predict` takes it")
            if name == "moe.bias_rate" and value != 0:
                raise ReadError(f"moe.bias_rate = {value} (it can only be set to 0: a bias is there or is not); leave it out")
        self.config = config = checkpoint.config.changed(settings)
        if config["model.family"] != "mixture":
            raise ReadError(f"model.family = {config['model.family']} is a model of text, which predict does not compute; use "
                            "`switchyard sample` or `switchyard eval` (its arrays are in checkpoint.parameters)")
        self.scaling = Scaling(checkpoint)
        self.loss = loss_of(config)
        self.of_numbers = config["model.loss"] in OF_NUMBERS
        self.target_mean, self.target_deviation = (
            checkpoint.data[name] if name in checkpoint.data else default
            for name, default in (("target_mean", 0.0), ("target_standard_deviation", 1.0)))
        in_bf16 = config["train.precision"] == "bf16"
        self.gate = gate_of(config, _arrays_of(checkpoint, "gate"), in_bf16)
        if settings.get("moe.top_k", 0) not in range(config["moe.experts"] + 1) or (settings and not self.gate.chooses):
            raise ReadError(f"settings = {settings} with model.gate = {config['model.gate']} and moe.experts = "
                            f"{config['moe.experts']} (only a gate that scores the experts by the sample chooses some of those "
                            "that are there); leave it out")
        self.experts = [Network(config["model.expert"], _arrays_of(checkpoint, f"experts/{expert:04}"), in_bf16=in_bf16)
                        for expert in range(config["moe.experts"])]

    def predict(self, samples, ids=None, labels=None, scaled=False, split="test"):
        """What `switchyard predict` writes of these samples, by name: ids, labels (if given), prediction, probabilities, experts,
        gate_weights and expert_outputs. Of labels that are real numbers prediction is in the units of the data, [N] of one
        number, and there are no probabilities.

        samples [N, ...] are as the file of the data has them (pixels are uint8; images prepared as data.prepare says, which is not
        done here), or a pandas.DataFrame with the run's columns;
        with `scaled` as `switchyard samples` writes them. ids default to 0, 1 and so on. With moe.noise_when = always noise is that
        of the first places of `split`.
        """
        if split not in SPLITS:
            raise ReadError(f"split={split!r} is no split; there are {one_of(SPLITS)}")
        x = self.scaling(samples, scaled)
        ids = numpy.arange(len(x)) if ids is None else _one_each("ids", ids, len(x))
        if labels is not None:
            labels = (_numbers_each if self.of_numbers else _one_each)("labels", labels, len(x))
        elif self.gate.reads_labels:
            raise ReadError(f"model.gate = {self.config['model.gate']} chooses experts by labels, and none are given; call "
                            "predict(samples, labels=labels)")
        rows = self._rows_at_once()
        found = [self._of_batch(Batch(x[at:at + rows], None if labels is None else labels[at:at + rows], split,
                                      range(at, min(at + rows, len(x)))))
                 for at in range(0, len(x), rows)]
        given = {"ids": ids} if labels is None else {"ids": ids, "labels": labels}
        said = {**given, **{name: numpy.concatenate([of[name] for of in found]) for name in found[0]}}
        if self.of_numbers:
            numbers = said["prediction"] * self.target_deviation + self.target_mean
            said["prediction"] = numbers[:, 0] if numbers.shape[1] == 1 else numbers
        return said

    def _rows_at_once(self):
        """Where experts have places, they are of a batch of an evaluation, which is as large as a part of training's."""
        config = self.config
        if config["moe.capacity"] > 0 and config["moe.capacity_when"] == "always":
            return -(-config["train.batch_size"] // config["train.parts"])
        return _ROWS

    def _of_batch(self, batch):
        experts, scores = self.gate.route(batch)
        outputs, hidden = self._run(batch.x, experts)
        weights = self.gate.weigh(batch, experts, scores, outputs, hidden)
        dropped = dropped_slots(self.config, experts, weights.weights)
        said = self.loss(outputs, weights, dropped)
        return {"experts": experts, "gate_weights": numpy.where(dropped, 0, weights.weights), **said}

    def _run(self, x, experts):
        """The outputs of the experts [N, K, C], and their hidden vectors [N, K, H] if the gate looks at these."""
        outputs = hidden = None
        for expert, network in enumerate(self.experts):
            rows, slots = numpy.nonzero(experts == expert)
            if len(rows) == 0:
                continue
            of_rows = network.with_hidden(x[rows]) if self.gate.reads_hidden else (network(x[rows]), None)
            if outputs is None:
                outputs, hidden = (None if one is None else numpy.zeros((*experts.shape, one.shape[1])) for one in of_rows)
            outputs[rows, slots] = of_rows[0]
            if hidden is not None:
                hidden[rows, slots] = of_rows[1]
        return outputs, hidden


class Scaling:
    """From samples as files hold them to what networks see: [N, channels, height, width] in float64, as float32 holds it."""

    def __init__(self, checkpoint):
        config, facts = checkpoint.config, checkpoint.data
        if "shape" not in facts:
            raise ReadError(f"{checkpoint.path} does not say what shape samples have (it is of an older version); use "
                            "`switchyard predict`")
        self.shape = tuple(map(int, facts["shape"].split(" x ")))
        self.are_pixels = bool(facts["pixels"])
        self.columns = facts["columns"].splitlines() if "columns" in facts else None
        self.mean, self.deviation = (self._by_channel(facts[name] if name in facts else config[f"data.{name}"])
                                     for name in ("mean", "standard_deviation"))

    def __call__(self, samples, scaled=False):
        samples = self._in_shape(numpy.asarray(self._columns_of(samples)))
        if samples.dtype.kind not in "fiub":
            raise ReadError(f"the samples are {samples.dtype} (a model takes numbers); convert them")
        with numpy.errstate(over="ignore"):
            finite = numpy.isfinite(samples.astype(numpy.float32)).all()
        if not finite:
            raise ReadError("a number of the samples is not finite in float32 (a model takes finite numbers); leave the sample "
                            "out, or fill the number in")
        if scaled:
            return samples.astype(numpy.float32).astype(numpy.float64)
        if self.are_pixels != (samples.dtype == numpy.uint8):
            kind = "pixels (uint8, which become value / 255)" if self.are_pixels else "numbers, and uint8 are pixels"
            raise ReadError(f"the samples are {samples.dtype}, and those of the run {kind}; give them as the file of the data has "
                            "them, or scaled=True with what `switchyard samples` writes")
        values = samples / 255 if self.are_pixels else samples.astype(numpy.float32).astype(numpy.float64)
        return ((values - self.mean) / self.deviation).astype(numpy.float32).astype(numpy.float64)

    def _by_channel(self, values):
        """One number for all, for each channel or for each number of a sample."""
        values = numpy.asarray(values, numpy.float64)
        return values.reshape(self.shape) if values.size == numpy.prod(self.shape) else values.reshape(-1, 1, 1)

    def _columns_of(self, samples):
        if not hasattr(samples, "columns") or self.columns is None:
            return samples
        missing = [name for name in self.columns if name not in samples.columns]
        if missing:
            raise ReadError(f"the samples have no column {missing[0]} (the run has {', '.join(self.columns)}); give a table with "
                            "these")
        return samples[self.columns]

    def _in_shape(self, samples):
        of_one = samples.shape[1:]
        is_flat = len(of_one) == 1 and of_one[0] == numpy.prod(self.shape)
        if samples.ndim > 4 or len(samples) == 0 or not (is_flat or (1,) * (3 - len(of_one)) + of_one == self.shape):
            raise ReadError(f"the samples are an array of {_words(samples.shape)}, and one sample of the run is "
                            f"{_words(self.shape)} (channels x height x width); give an array of samples x channels x height x "
                            "width, of one sample at least")
        return samples.reshape(-1, *self.shape)


def _arrays_of(checkpoint, network):
    """Parameters and what stands beside them, by name."""
    return {**checkpoint.parameters.under(network), **checkpoint.buffers.under(network)}


def _one_each(what, values, count):
    values = numpy.asarray(values)
    if values.shape != (count,) or values.dtype.kind not in "iu":
        raise ReadError(f"{what} are an array of {_words(values.shape)} {values.dtype} for {count} samples (each needs a whole "
                        "number); give as many")
    return values


def _numbers_each(what, values, count):
    values = numpy.asarray(values)
    if values.ndim not in (1, 2) or len(values) != count or values.dtype.kind not in "fiub":
        raise ReadError(f"{what} are an array of {_words(values.shape)} {values.dtype} for {count} samples (each needs a number, "
                        "or as many as the model learns); give as many")
    return values


def _words(shape):
    return " x ".join(map(str, shape)) or "no dimensions"
