"""Finding the programs that the wheels of the `embedded` extra carry."""

import importlib.util
import os
from pathlib import Path

from fleet.errors import FleetError


def wheel_program(package: str, relative: str, *, distribution: str, instead: str) -> Path:
    """Path of a program inside an installed package.

    Args:
        package: import name of the package; it is located, not imported.
        relative: path of the program inside it.
        distribution: what pip calls the package.
        instead: the setting that makes the embedded server unnecessary.

    Raises:
        FleetError: the package or the program is missing.
    """
    specification = importlib.util.find_spec(package)
    for folder in (specification.submodule_search_locations or []) if specification else []:
        program = Path(folder) / relative
        if program.is_file():
            if not os.access(program, os.X_OK):
                program.chmod(program.stat().st_mode | 0o111)
            return program
    raise FleetError(
        f"{Path(relative).name} of the package {distribution} is not installed: run `make env` "
        f"(or `pip install {distribution}`), or set {instead} to use a server that already runs."
    )
