"""The VMC protocol: OSC over UDP, which programs with VRM avatars and add-ons of Blender, Unity and Unreal receive.

Expressions go by the names of Perfect Sync, ARKit's 52 with a capital letter, which have to be the avatar's clips.
VRM's own (Blink, A, Joy) aren't sent: an avatar that has both would close its eyes twice. Bones are ``Head``,
``LeftEye`` and ``RightEye``, turned against their parents in Unity's axes: left-handed, x to the avatar's right, y up,
z forward. Their positions aren't known of an avatar, and sent as 0. OSC 1.0: everything is big-endian, strings are
padded with zeros to fours of bytes, a bundle has a time and messages with their lengths.
"""

from __future__ import annotations

import struct
from functools import cache

import numpy as np
from scipy.spatial.transform import Rotation

from facemodel.arkit import ARKIT_NAMES
from portrait.services.streams.base import STREAMS, Performed
from portrait.services.streams.udp import Udp

OPTION, USUAL = "--vmc", "127.0.0.1:39539"
BONES = ("Head", "LeftEye", "RightEye")
UNCALIBRATED, CALIBRATED = 0, 3
LARGEST = 1400  # bytes of a bundle: a packet that goes through networks in one piece
BUNDLE = b"#bundle\0" + struct.pack(">Q", 1)  # 1: the time is now


def bones(curves) -> dict[str, np.ndarray]:
    """Unity's quaternions (x, y, z, w) of `BONES`, of the angles among a frame's curves."""
    angles = [[curves[f"{bone}{turn}"] for turn in ("Yaw", "Pitch", "Roll")] for bone in BONES]
    ours = Rotation.from_euler("YXZ", np.array(angles) * [1, -1, 1]).as_quat()  # `facemodel.editing.poses`
    return dict(zip(BONES, ours * [1, -1, -1, 1]))  # x counts the other way there


def messages(frame: Performed) -> list[bytes]:
    """A frame's messages; of one without a face those alone that say so, and receivers keep what they have."""
    state = CALIBRATED if frame.calibrated else UNCALIBRATED
    found = [_message("/VMC/Ext/OK", int(bool(frame.curves)), state, 0, int(frame.tracked))]
    found.append(_message("/VMC/Ext/T", float(frame.seconds)))
    if not frame.tracked:
        return found
    found += [
        _message("/VMC/Ext/Bone/Pos", bone, 0.0, 0.0, 0.0, *map(float, turn))
        for bone, turn in bones(frame.curves).items()
    ]
    found += [
        _message("/VMC/Ext/Blend/Val", n[0].upper() + n[1:], float(frame.curves.get(n, 0.0))) for n in ARKIT_NAMES
    ]
    return [*found, _message("/VMC/Ext/Blend/Apply")]


def bundles(found: list[bytes]) -> list[bytes]:
    """The messages in their order, in as few packets as they fit into."""
    packets = [BUNDLE]
    for message in found:
        if len(packets[-1]) + len(message) + 4 > LARGEST:
            packets.append(BUNDLE)
        packets[-1] += struct.pack(">i", len(message)) + message
    return packets


def _message(address: str, *values: str | int | float) -> bytes:
    kinds = "".join({str: "s", int: "i", float: "f"}[type(value)] for value in values)
    data = (_string(v) if k == "s" else struct.pack(f">{k}", v) for k, v in zip(kinds, values))
    return _string(address) + _string("," + kinds) + b"".join(data)


@cache  # always the same few dozen
def _string(text: str) -> bytes:
    data = text.encode("ascii")
    return data + bytes(4 - len(data) % 4)


class Vmc(Udp):
    """Sends every frame in two or three bundles, of which the last applies them."""

    def __init__(self, where: str) -> None:
        super().__init__(OPTION, where, USUAL)

    def send(self, frame: Performed) -> None:
        for bundle in bundles(messages(frame)):
            super().send(bundle)


STREAMS.add("vmc", Vmc)
