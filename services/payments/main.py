"""The payments process."""

from chassis.runtime import run
from interceptors.process import CHAIN
from services.payments.wiring import wire

if __name__ == "__main__":
    run("payments", wire, CHAIN)
