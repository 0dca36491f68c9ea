"""The notifications process."""

from chassis.runtime import run
from interceptors.process import CHAIN
from services.notifications.wiring import wire

if __name__ == "__main__":
    run("notifications", wire, CHAIN)
