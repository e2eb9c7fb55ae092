"""What the sources must hold to: who may include whom, how long a file may be, what may not be left behind.

A rule takes the text of a file and its path below src/, and yields findings as (line number, sentence)."""

import pathlib
import re

# A room and the rooms that it may include besides itself: docs/architecture.md, "Rooms". A folder in a room that has a
# row of its own is a room, too; it may also include what is private to the room around it.
_LOWER = ["base", "config", "device", "tensor"]
ALLOWED = {
    "base": [],
    "files": ["base"],
    "events": ["base", "files"],
    "config": ["base"],
    "device": ["base"],
    "tensor": ["base", "device"],
    "ops": ["base", "device", "tensor"],
    "ops/moe": ["base", "device", "tensor", "ops"],
    "comm": ["base", "config", "device"],
    "comm/local": ["base", "device", "comm"],
    "comm/threads": ["base", "device", "comm"],
    "comm/mpi": ["base", "device", "comm"],
    "comm/nccl": ["base", "device", "comm"],
    "comm/planes": ["base", "device", "comm", "comm/nccl"],
    "data": [*_LOWER, "files", "checkpoint"],
    "nn": [*_LOWER, "ops", "comm"],
    "moe": [*_LOWER, "ops", "ops/moe", "comm", "nn"],
    "model": [*_LOWER, "ops", "ops/moe", "comm", "nn", "moe"],
    "optim": [*_LOWER, "ops", "comm", "nn"],
    "checkpoint": [*_LOWER, "files", "comm", "nn"],
    "report": ["base", "files", "config"],
    "train": [*_LOWER, "ops", "comm", "data", "nn", "moe", "model", "optim"],
    "console": ["base", "config", "moe"],
}
ALLOWED["run"] = ["files", "events", *ALLOWED["train"], "train", "checkpoint", "console"]
ALLOWED["interchange"] = [*ALLOWED["run"], "run"]
ALLOWED["study"] = ["base", "files", "config", "device", "comm", "data", "moe", "checkpoint", "report", "console", "run"]
ALLOWED["cli"] = list(ALLOWED)

# What the rooms on the path of a batch may know of comm: its planes, not who implements them. Networks have no control to
# send.
_BOTH_PLANES = ["comm/communicator.hpp", "comm/data_plane.hpp", "comm/resources.hpp", "comm/agreement.hpp"]
PLANES = {"nn": ["comm/data_plane.hpp"], "moe": _BOTH_PLANES, "model": _BOTH_PLANES, "train": _BOTH_PLANES}

# A third-party header (a pattern of the whole name) and the path prefixes below src/ that may include it.
VENDOR_HEADERS = [
    (r"mpi\.h|mpi/.*", ["comm/mpi/"]),
    (r"nccl.*\.h", ["comm/nccl/"]),
    (r"cublas.*\.h", ["ops/"]),
    (r"cuda.*|nvtx3/.*|cooperative_groups.*|cub/.*|device_launch_parameters\.h", ["device/cuda/", "ops/", "comm/nccl/"]),
    (r"dnnl.*|oneapi/.*", ["ops/"]),
    (r"hdf5.*|H5.*", ["checkpoint/"]),
    (r"boost/math/.*", ["study/"]),
    (r"boost/.*", ["cli/"]),
    (r"sentencepiece.*", ["data/"]),
    (r"csv\.h", ["data/"]),
    (r"j(peglib|config|morecfg|error|pegint)\.h|turbojpeg\.h", ["data/detail/image_file.cpp"]),
    (r"png(conf|libconf)?\.h", ["data/detail/image_file.cpp"]),
    (r"omp\.h", ["device/single_threaded_libraries.cpp"]),
]

SOURCE_SUFFIXES = {".hpp", ".cpp", ".cu", ".cuh", ".h"}
LONGEST_FILE_LINES = 500

_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def includes(text):
    """(line number, opening mark, name) of each include."""
    for number, line in enumerate(text.splitlines(), start=1):
        match = _INCLUDE.match(line)
        if match:
            yield number, match.group(1), match.group(2)


def room_of(name):
    """The innermost room of a path below src/, or None."""
    folders = name.split("/")[:-1]
    rooms = ("/".join(folders[:depth]) for depth in range(len(folders), 0, -1))
    return next((room for room in rooms if room in ALLOWED), None)


def room_findings(text, path):
    """Includes of a room that this room may not know."""
    room = room_of(path.as_posix())
    if room is None:
        yield 0, f"{path.parts[0]} is no room of the table in tests/lint/rules.py"
        return
    for number, mark, name in includes(text):
        target = room_of(name)
        if target is not None:
            is_inside = room == target or room.startswith(target + "/")
            if target != room and target not in ALLOWED[room]:
                yield number, f"{room} may not include {target} ({name})"
            elif not is_inside and "/detail/" in name:
                yield number, f"{name} is private to {target}"
            if mark == "<":
                yield number, f'a header of ours is included as "{name}"'
        elif mark == '"':
            yield number, f'"{name}" names no room (headers are included as "room/file.hpp")'


_ROWS_OF_CONTROL = re.compile(r"\bcommunicator_?(?:\.|->)all_(?:to_all|gather)_rows\b")


def plane_findings(text, path):
    """What a room on the path of a batch includes of comm besides the planes, and rows that it sends on the wrong one."""
    room = room_of(path.as_posix())
    if room not in PLANES:
        return
    for number, _, name in includes(text):
        if name.startswith("comm/") and name not in PLANES[room]:
            yield number, f"{room} knows of comm only {', '.join(PLANES[room])}, not {name}"
    for number, line in enumerate(text.splitlines(), start=1):
        if _ROWS_OF_CONTROL.search(line):
            yield number, "rows of a batch go over the data plane (comm/data_plane.hpp)"


def vendor_findings(text, path):
    """Third-party headers outside the one place that knows the library."""
    for number, _, name in includes(text):
        for pattern, places in VENDOR_HEADERS:
            if re.fullmatch(pattern, name):
                if not any(path.as_posix().startswith(place) for place in places):
                    yield number, f"{name} may only be included in {', '.join(places)}"
                break


def header_findings(text, path):
    """Headers without an include guard."""
    if path.suffix == ".hpp" and not re.search(r"^#pragma once$", text, re.MULTILINE):
        yield 0, "has no #pragma once"


def length_findings(text, _path):
    """Files too long to read at a sitting."""
    lines = len(text.splitlines())
    if lines >= LONGEST_FILE_LINES:
        yield lines, f"has {lines} lines, {LONGEST_FILE_LINES} or more"


def leftover_findings(text, _path):
    """Marks of unfinished work."""
    for number, line in enumerate(text.splitlines(), start=1):
        match = re.search(r"\b(TODO|FIXME|XXX)\b", line)
        if match:
            yield number, f"{match.group(1)} is left behind"


# Who may change a key, who reads it: the role of its field says that, in the one table that has it (docs/architecture.md,
# "Options"). A list of keys elsewhere is forgotten when a key is added.
_KEY = r'"[a-z]+\.(?!(?:ini|json|md|bin|csv|html|svg|txt|gz)")[a-z]\w*"'
_KEY_LIST = re.compile(rf'{_KEY}(?:,\s*"[^"]*")?\s*\}}?,\s*\{{?\s*{_KEY}')


def key_list_findings(text, _path):
    """Keys of a configuration one after the other: alone, or each with something beside it."""
    for match in _KEY_LIST.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, "a list of keys outside the tables: ask the role of the field"


# Readers that stop before their input ends, behind a pipe (the pattern follows it).
_STOPS_EARLY = re.compile(r"(?<!\|)\|\s*(head\b|grep\s[^|]*?-\w*[qm]|awk\s[^|]*\bexit\b|sed\s[^|]*(?:;|\b\d+)\s*q\b)")


def is_bash(file):
    return re.match(r"#!/usr/bin/env bash\n|# shellcheck shell=bash\n", file.read_bytes()[:40].decode("utf-8", "ignore")) is not None


def pipe_findings(text):
    """Pipes of a script under pipefail whose reader may end first: the writer then ends by SIGPIPE, and the script with it."""
    is_failing = True
    for number, line in enumerate(text.splitlines(), start=1):
        if "o pipefail" in line:
            is_failing = "+o pipefail" not in line
        match = _STOPS_EARLY.search(line)
        if match and is_failing and not line.lstrip().startswith("#"):
            yield number, f"{match.group(1).split()[0]} may stop before the end of its pipe"


INCLUDE_RULES = [room_findings, plane_findings, vendor_findings, header_findings]
TEXT_RULES = [length_findings, leftover_findings, key_list_findings]


def source_files(root, suffixes=frozenset(SOURCE_SUFFIXES)):
    return sorted(p for p in pathlib.Path(root).rglob("*") if p.suffix in suffixes and p.is_file())


def findings(root, rules):
    """Every finding under `root` (the folder src/, or one built like it), as "path:line: sentence"."""
    result = []
    for file in source_files(root):
        path = file.relative_to(root)
        text = file.read_text(encoding="utf-8")
        for rule in rules:
            result += [f"{path.as_posix()}:{number}: {sentence}" for number, sentence in rule(text, path)]
    return result
