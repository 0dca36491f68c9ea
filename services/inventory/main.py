"""The inventory process."""

from chassis.runtime import run
from interceptors.process import CHAIN
from services.inventory.wiring import wire

if __name__ == "__main__":
    run("inventory", wire, CHAIN)
