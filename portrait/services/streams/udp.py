"""A UDP socket for packets that nobody has to receive."""

from __future__ import annotations

import socket

from foundation.errors import PortraitError

MOST_PORT = 65535


class Udp:
    """Sends to ``HOST:PORT``. A receiver that isn't there, or a full queue, costs packets and never time.

    Args:
        option: as a user knows it, for errors: "--vmc".
        usual: an address for the error's advice.

    Raises:
        PortraitError: no address, no such host, no such port.
    """

    def __init__(self, option: str, where: str, usual: str) -> None:
        self.option, self.where = option, where
        self.sent = self.lost = 0
        host, port = _split(option, where, usual)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            kind, self._address = found[0][0], found[0][4]
            self._socket = socket.socket(kind, socket.SOCK_DGRAM)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            self._socket.setblocking(False)
            self._socket.connect(self._address)  # so that a refusal comes back, and can be told
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "no such host"
            raise PortraitError(
                f"{option} '{where}': can't be reached ({reason}); check the host's name, such as {usual}"
            ) from None

    def send(self, packet: bytes) -> None:
        """A refusal is the answer to an earlier packet, so that this one is tried once more."""
        for _ in range(2):
            try:
                self._socket.send(packet)
            except ConnectionRefusedError:
                self.lost += 1
                continue
            except OSError:
                self.lost += 1
                return
            self.sent += 1
            return

    def close(self) -> None:
        self._socket.close()

    def lines(self) -> list[str]:
        """Where packets went, and whether nobody listened."""
        lost = f"; {self.lost} didn't arrive: nobody listened there, or the way was shut" if self.lost else ""
        return [f"{self.option}: {self.sent} packets to {self.where}{lost}"]


def _split(option: str, where: str, usual: str) -> tuple[str, int]:
    host, colon, port = where.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host  # [::1]:39539
    if not colon or not host or not (port.isascii() and port.isdecimal()):
        raise PortraitError(f"{option} '{where}': expected HOST:PORT, such as {usual}")
    if not 1 <= int(port[:9]) <= MOST_PORT:
        raise PortraitError(f"{option} '{where}': expected a port from 1 to {MOST_PORT}, such as {usual}")
    return host, int(port[:9])
