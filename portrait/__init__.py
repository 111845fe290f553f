"""The command line; its threads sleep while they wait, which has to be said before torch is imported."""

from foundation.threads import wait_passively

wait_passively()
