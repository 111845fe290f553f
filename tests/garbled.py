"""Files as they come when something went wrong: bytes changed, cut short, other values in their JSON."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundation.errors import PortraitError

bounded = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
"""Few enough for readers that take milliseconds; each example writes into one module's folder anew."""

edits = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=0, max_size=6)), min_size=1, max_size=4
)
cuts = st.sampled_from([1.0, 1.0, 0.9, 0.5, 0.0])
garbage = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 10**19), st.floats(), st.text(max_size=5), st.just([]), st.just([[1]]),
    st.just({}), st.just({"a": None}),
)  # fmt: skip


def spoilt(data: bytes, changes, cut: float = 1.0) -> bytes:
    """Bytes replaced at places (shares of the length), then the end cut off."""
    for share, new in changes:
        at = int(share * len(data))
        data = data[:at] + new + data[at + len(new) :]
    return data[: int(cut * len(data))]


def reads_or_refuses(read) -> None:
    """Whatever is in a file: it is read, or refused by PortraitError in one line."""
    try:
        read()
    except PortraitError as error:
        assert "\n" not in str(error) and len(str(error)) < 600


@st.composite
def other_json(draw, table):
    """The same JSON with another value, or none, somewhere."""
    table = json.loads(json.dumps(table))
    here = table
    while True:
        keys = list(here) if isinstance(here, dict) else range(len(here))
        key = draw(st.sampled_from(list(keys)))
        if isinstance(here[key], dict | list) and here[key] and draw(st.booleans()):
            here = here[key]
            continue
        if isinstance(here, dict) and draw(st.integers(0, 4)) == 0:
            del here[key]
        else:
            here[key] = draw(garbage)
        return table


def tensors_header(path: Path) -> tuple[dict, bytes]:
    """The JSON that `foundation.tensors` put into a file, and the file's bytes."""
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["header"]), data


def with_header(data: bytes, header: object) -> bytes:
    """A safetensors file's bytes with another header of `foundation.tensors`."""
    length = struct.unpack("<Q", data[:8])[0]
    table = json.loads(data[8 : 8 + length])
    table["__metadata__"]["header"] = json.dumps(header)
    text = json.dumps(table).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def spoil_tensors(path: Path, read) -> None:
    """Tries a reader on a file that `foundation.tensors` wrote: bytes spoilt, other values in its header.

    The file is as it was afterwards.
    """
    spoil_bytes(path, read)
    table, whole = tensors_header(path)

    @bounded
    @given(other_json(table))
    def by_values(other):
        path.write_bytes(with_header(whole, other))
        reads_or_refuses(read)

    try:
        by_values()
    finally:
        path.write_bytes(whole)


def spoil_bytes(path: Path, read) -> None:
    """Tries a reader on a file whose bytes are spoilt; the file is as it was afterwards."""
    whole = path.read_bytes()

    @bounded
    @given(edits, cuts)
    def by_bytes(changes, cut):
        path.write_bytes(spoilt(whole, changes, cut))
        reads_or_refuses(read)

    try:
        read()
        by_bytes()
    finally:
        path.write_bytes(whole)
