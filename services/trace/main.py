"""The trace process."""

from chassis.runtime import run
from interceptors.process import CHAIN
from services.trace.wiring import wire

if __name__ == "__main__":
    run("trace", wire, CHAIN)
