"""Packets of Apple's and Epic's app Live Link Face, which Unreal's plug-in of that name receives.

A packet: version (uint8, then three zero bytes), a device's name of 37 bytes, the subject's name with its length, the
frame's number and rate, the count of values and the values. Numbers after the version are big-endian. One without a
face ends before the count: Unreal keeps the last pose.
"""

from __future__ import annotations

import struct
import uuid

from facemodel.arkit import ARKIT_NAMES
from facemodel.editing.curves import ANGLES
from portrait.services.streams.base import STREAMS, Performed
from portrait.services.streams.udp import Udp

OPTION, USUAL = "--live-link", "127.0.0.1:11111"
SUBJECT = "portrait"  # the name under which it appears in Unreal's Live Link window
VERSION, RATE = 6, 60
VALUES = (*ARKIT_NAMES, *ANGLES)  # Apple's order; the app's csv has the right one of jaw and mouth first


def packet(frame: Performed, device: str, subject: str = SUBJECT) -> bytes:
    """A frame's packet; device: an identifier of 36 characters."""
    name = subject.encode("utf-8")
    number, rest = divmod(frame.seconds * RATE, 1)
    head = struct.pack("<I", VERSION) + b"$" + device.encode("ascii") + struct.pack("!i", len(name)) + name
    head += struct.pack("!ifii", int(number), rest, RATE, 1)
    if not frame.tracked:
        return head
    values = [frame.curves.get(name, 0.0) for name in VALUES]
    return head + struct.pack(f"!B{len(values)}f", len(values), *values)


class LiveLink(Udp):
    """Sends every frame in a packet of its own."""

    def __init__(self, where: str) -> None:
        super().__init__(OPTION, where, USUAL)
        self._device = str(uuid.uuid4())

    def send(self, frame: Performed) -> None:
        super().send(packet(frame, self._device))


STREAMS.add("live-link", LiveLink)
