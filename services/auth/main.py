"""The auth process."""

from chassis.runtime import run
from interceptors.process import CHAIN
from services.auth.wiring import wire

if __name__ == "__main__":
    run("auth", wire, CHAIN)
