"""The orders process."""

from chassis.runtime import run
from interceptors.process import CHAIN
from services.orders.wiring import wire

if __name__ == "__main__":
    run("orders", wire, CHAIN)
