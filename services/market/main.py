"""The market process."""

from chassis.runtime import run
from interceptors.process import CHAIN
from services.market.wiring import wire

if __name__ == "__main__":
    run("market", wire, CHAIN)
