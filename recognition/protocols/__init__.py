"""Verification protocols, a file each, by name in `PROTOCOLS`."""

from recognition.protocols.base import PROTOCOLS, Pairs, Protocol, Templates

__all__ = ["PROTOCOLS", "Pairs", "Protocol", "Templates"]
