"""The catalog process."""

from chassis.runtime import run
from interceptors.process import CHAIN
from services.catalog.wiring import wire

if __name__ == "__main__":
    run("catalog", wire, CHAIN)
