"""The crops process."""

from chassis.runtime import run
from interceptors.process import CHAIN
from services.crops.wiring import wire

if __name__ == "__main__":
    run("crops", wire, CHAIN)
