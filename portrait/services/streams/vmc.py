"""The VMC protocol: OSC over UDP, which programs with VRM avatars and add-ons of Blender, Unity and Unreal receive.

Expressions go by the names of Perfect Sync, ARKit's 52 with a capital letter, which have to be the avatar's clips.
VRM's own (Blink, A, Joy) aren't sent: an avatar that has both would close its eyes twice. Bones are ``Head``,
``LeftEye`` and ``RightEye``, turned against their parents in Unity's axes: left-handed, x to the avatar's right, y up,
z forward. Their positions aren't known of an avatar, and sent as 0.
"""

from __future__ import annotations

import numpy as np
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder
from scipy.spatial.transform import Rotation

from facemodel.arkit import ARKIT_NAMES
from portrait.services.streams.base import STREAMS, Performed
from portrait.services.streams.udp import Udp

OPTION, USUAL = "--vmc", "127.0.0.1:39539"
BONES = ("Head", "LeftEye", "RightEye")
UNCALIBRATED, CALIBRATED = 0, 3
LARGEST = 1400  # bytes of a bundle: a packet that goes through networks in one piece


def bones(curves) -> dict[str, np.ndarray]:
    """Unity's quaternions (x, y, z, w) of `BONES`, of the angles among a frame's curves."""
    angles = [[curves[f"{bone}{turn}"] for turn in ("Yaw", "Pitch", "Roll")] for bone in BONES]
    ours = Rotation.from_euler("YXZ", np.array(angles) * [1, -1, 1]).as_quat()  # `facemodel.editing.poses`
    return dict(zip(BONES, ours * [1, -1, -1, 1]))  # x counts the other way there


def messages(frame: Performed) -> list[OscMessage]:
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


def bundles(found: list[OscMessage]) -> list[bytes]:
    """The messages in their order, in as few packets as they fit into."""
    packets, builder, size = [], OscBundleBuilder(IMMEDIATELY), 0
    for message in found:
        if size and size + message.size + 4 > LARGEST - 16:
            packets.append(builder.build().dgram)
            builder, size = OscBundleBuilder(IMMEDIATELY), 0
        builder.add_content(message)
        size += message.size + 4
    return [*packets, builder.build().dgram]


def _message(address: str, *values: str | int | float) -> OscMessage:
    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(value)
    return builder.build()


class Vmc(Udp):
    """Sends every frame in two or three bundles, of which the last applies them."""

    def __init__(self, where: str) -> None:
        super().__init__(OPTION, where, USUAL)

    def send(self, frame: Performed) -> None:
        for bundle in bundles(messages(frame)):
            super().send(bundle)


STREAMS.add("vmc", Vmc)
