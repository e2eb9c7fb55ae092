"""The configuration of a run."""

import collections.abc
import difflib

from .errors import ReadError

# Keys whose values stay as they are written; those of several numbers are tuples of floats.
TEXTS = {"run.dir", "data.dir", "data.file", "data.derive", "data.prepare", "data.augment", "images.size", "csv.label", "csv.cluster",
         "csv.id", "csv.weight", "model.gate", "model.expert", "init.from", "init.parts", "moe.partition", "optim.decay_on",
         "train.freeze"}
LISTS = {"data.mean", "data.standard_deviation"}


class Config(collections.abc.Mapping):
    """config.ini: "section.key" -> value. Numbers are int or float as they are written, yes and no are bool, all else is str."""

    def __init__(self, values):
        self._values = dict(values)

    @classmethod
    def of_text(cls, text, where):
        """Of a config.ini, which `where` names in messages."""
        values, section = {}, ""
        for number, line in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
            line = line.partition("#")[0].strip()
            if not line:
                continue
            if line.startswith("[") and line.endswith("]"):
                section = line[1:-1]
                continue
            key, equals, value = line.partition("=")
            if not equals or not key.strip():
                raise ReadError(f"line {number} of {where} is neither a section nor a setting (it reads {line!r}); "
                                "give a file that the program wrote")
            name = f"{section}.{key.strip()}"
            values[name] = _value(name, value.strip())
        return cls(values)

    def changed(self, changes):
        """With other values of some keys."""
        return Config({**self._values, **changes})

    def __getitem__(self, name):
        if name in self._values:
            return self._values[name]
        near = difflib.get_close_matches(str(name), self._values, n=1)
        raise KeyError(f"no key {name}" + (f"; did you mean {near[0]}?" if near else ""))

    def __iter__(self):
        return iter(self._values)

    def __len__(self):
        return len(self._values)

    def __repr__(self):
        return "\n".join(f"{name} = {value}" for name, value in self._values.items())


def _value(name, text):
    if name in TEXTS:
        return text
    if name in LISTS:
        return tuple(float(word) for word in text.split())
    if text in ("yes", "no"):
        return text == "yes"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
