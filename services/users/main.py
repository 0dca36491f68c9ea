"""The users process."""

from chassis.runtime import run
from interceptors.process import CHAIN
from services.users.wiring import wire

if __name__ == "__main__":
    run("users", wire, CHAIN)
