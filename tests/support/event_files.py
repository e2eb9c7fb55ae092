"""Event files of TensorBoard, read without it: frames, checksums bit by bit, messages field by field.

Written from the published descriptions of TFRecord, Protocol Buffers and event.proto, not from the program's sources."""

import pathlib
import struct
import zlib

import numpy


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked_crc(data):
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def records(file):
    """The content of each frame; an assertion for one that is torn or damaged."""
    data = pathlib.Path(file).read_bytes()
    place = 0
    while place < len(data):
        head = data[place:place + 12]
        size, check = struct.unpack("<QI", head)
        assert masked_crc(head[:8]) == check, f"{file}: the length at byte {place} is damaged"
        content = data[place + 12:place + 12 + size]
        assert len(content) == size, f"{file}: the frame at byte {place} is torn"
        (check,) = struct.unpack("<I", data[place + 12 + size:place + 16 + size])
        assert masked_crc(content) == check, f"{file}: the frame at byte {place} is damaged"
        yield content
        place += size + 16


def fields(message):
    """(number, value) of each field: an int, 4 or 8 bytes, or the bytes of what has a length."""
    place = 0

    def varint():
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(message):
        key = varint()
        kind = key & 7
        if kind == 0:
            value = varint()
        else:
            size = {1: 8, 5: 4}[kind] if kind in (1, 5) else varint()
            assert kind in (1, 2, 5), f"a field of kind {kind}"
            value = message[place:place + size]
            assert len(value) == size, "a field is torn"
            place += size
        yield key >> 3, value
    assert place == len(message)


def doubles(data):
    return list(struct.unpack(f"<{len(data) // 8}d", data))


class Histogram:
    def __init__(self, message):
        found = dict(fields(message))
        self.min, self.max, self.count, self.sum, self.squares = (doubles(found[i])[0] for i in range(1, 6))
        self.limits, self.bars = doubles(found[6]), doubles(found[7])


class Image:
    """A PNG of indexed colours: `pixels` are the indices."""

    def __init__(self, message):
        found = dict(fields(message))
        self.height, self.width, self.png = found[1], found[2], found[4]
        self.pixels = png_indices(self.png)
        assert self.pixels.shape == (self.height, self.width)


def png_indices(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, place = {}, 8
    while place < len(data):
        (size,) = struct.unpack(">I", data[place:place + 4])
        kind, content = data[place + 4:place + 8], data[place + 8:place + 8 + size]
        (check,) = struct.unpack(">I", data[place + 8 + size:place + 12 + size])
        assert zlib.crc32(kind + content) == check, kind
        chunks[kind] = content
        place += size + 12
    width, height, *form = struct.unpack(">II5B", chunks[b"IHDR"])
    assert form == [8, 3, 0, 0, 0], form
    lines = numpy.frombuffer(zlib.decompress(chunks[b"IDAT"]), numpy.uint8).reshape(height, width + 1)
    assert not lines[:, 0].any(), "a filter"
    return lines[:, 1:]


class Event:
    def __init__(self, message):
        self.step, self.file_version, self.starts, self.values = 0, None, False, {}
        for number, value in fields(message):
            if number == 1:
                (self.wall_time,) = doubles(value)
            elif number == 2:
                self.step = value
            elif number == 3:
                self.file_version = value.decode()
            elif number == 5:
                for _, entry in fields(value):
                    self._take(dict(fields(entry)))
            elif number == 7:
                self.starts = dict(fields(value))[1] == 1

    def _take(self, entry):
        tag = entry[1].decode()
        assert tag not in self.values, f"{tag} twice in one event"
        if 2 in entry:
            (self.values[tag],) = struct.unpack("<f", entry[2])
        elif 4 in entry:
            self.values[tag] = Image(entry[4])
        else:
            self.values[tag] = Histogram(entry[5])


def files(folder):
    return sorted(pathlib.Path(folder).glob("events.out.tfevents.*"))


def all_events(folder):
    return [Event(record) for file in files(folder) for record in records(file)]


def shown_events(folder):
    """What is left of them for who reads file after file: a later start takes back its step and those after it."""
    shown = []
    for event in all_events(folder):
        if event.starts:
            shown = [earlier for earlier in shown if earlier.step < event.step]
        if event.values:
            shown.append(event)
    return shown
