"""The control process."""

from chassis.runtime import run
from interceptors.process import CHAIN
from services.control.wiring import wire

if __name__ == "__main__":
    run("control", wire, CHAIN, needs_database=False)
