"""What the experts' outputs become: a row for each model.loss.

outputs [N, K, C] are the experts' last layers, weights those of gates.py. Each way gives the arrays that `switchyard predict`
writes of them: prediction [N], probabilities [N, C], and expert_outputs [N, K, C], 0 where the expert had no place. Where labels
are T real numbers there are no probabilities, and prediction is [N, T], scaled as the model learns them.
"""

import numpy

from .errors import ReadError, one_of
from .gates import log_softmax


def _mixture(outputs, weights, dropped):
    """The likelihood: the mixture answers, or of one slot that one, whatever its weight."""
    if outputs.shape[1] == 1:
        return _answer(outputs, weights, dropped)
    logs = log_softmax(outputs)
    return _distributions(numpy.exp(weights.logs[:, :, None] + logs).sum(1), logs)


def _answer(outputs, weights, dropped):
    """One answers: the slot with the largest weight."""
    logs = log_softmax(outputs)
    slot = weights.logs.argmax(1)
    return _distributions(numpy.exp(logs[numpy.arange(len(logs)), slot]), logs)


def _distributions(probabilities, logs):
    return {"prediction": probabilities.argmax(1), "probabilities": probabilities, "expert_outputs": logs}


def _sum(outputs, weights, dropped):
    """The sum of the outputs by their factors, without those that were dropped."""
    outputs = numpy.where(dropped[:, :, None], 0, outputs)
    return (weights.factors[:, :, None] * outputs).sum(1), outputs


def _cross_entropy(outputs, weights, dropped):
    total, outputs = _sum(outputs, weights, dropped)
    return {"prediction": total.argmax(1), "probabilities": numpy.exp(log_softmax(total)), "expert_outputs": outputs}


def _double_softmax(outputs, weights, dropped):
    total, outputs = _sum(outputs, weights, dropped)
    return {"prediction": total.argmax(1), "probabilities": numpy.exp(log_softmax(numpy.exp(log_softmax(total)))),
            "expert_outputs": outputs}


def _logistic(outputs, weights, dropped):
    total, outputs = _sum(outputs, weights, dropped)
    return {"prediction": (total[:, 0] > 0).astype(int),
            "probabilities": numpy.exp(-numpy.logaddexp(0, total * [1, -1])), "expert_outputs": outputs}


def _squared_error(outputs, weights, dropped):
    total, outputs = _sum(outputs, weights, dropped)
    return {"prediction": total, "expert_outputs": outputs}


def _gaussian(outputs, weights, dropped):
    """The mixture's mean, or of one slot that one's, whatever its weight."""
    if outputs.shape[1] == 1:
        return {"prediction": outputs[:, 0], "expert_outputs": outputs}
    return {"prediction": (numpy.exp(weights.logs)[:, :, None] * outputs).sum(1), "expert_outputs": outputs}


LOSSES = {"likelihood": _mixture, "stochastic": _answer, "predicted_loss": _answer, "cross_entropy": _cross_entropy,
          "logistic": _logistic, "double_softmax": _double_softmax, "squared_error": _squared_error, "gaussian": _gaussian}
OF_NUMBERS = {"squared_error", "gaussian"}  # labels are real numbers, and not classes


def loss_of(config):
    """The way of model.loss."""
    word = config["model.loss"]
    if word not in LOSSES:
        raise ReadError(f"model.loss = {word} is none that this reader knows (it knows {one_of(LOSSES)}); install the "
                        "switchyard-reader of the program's version, or use `switchyard predict`")
    return LOSSES[word]
