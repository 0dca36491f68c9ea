"""The Merkle tree of RFC 9162 (and RFC 6962): hashes, proofs and their verification, with hashlib alone.

A tree of n leaves is cut at the largest power of two below n. A subtree of 2^level leaves that is complete
never changes again; it is named by `(level, index)`, where level 0 are the leaves. Every hash of every tree
is folded from complete subtrees, so a proof needs O(log n) of them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
"""Root of the tree without leaves."""

Node = tuple[int, int]
"""A complete subtree: level and index."""


class ProofError(ValueError):
    """A proof that does not prove what it should; the message says why."""


def leaf_hash(data: bytes) -> bytes:
    """SHA-256 of 0x00 and the data (RFC 9162, 2.1.1)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 of 0x01 and the two children."""
    return sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """The hash over complete subtrees that lie side by side, the largest first; `EMPTY_ROOT` of none."""
    if not hashes:
        return EMPTY_ROOT
    folded = hashes[-1]
    for left in reversed(hashes[:-1]):
        folded = node_hash(left, folded)
    return folded


def subtrees(begin: int, end: int) -> list[Node]:
    """The complete subtrees that cover the leaves `[begin, end)`, the largest first.

    `begin` must be a multiple of the largest power of two that is not above `end - begin`, as it is for
    every range that a proof consists of.
    """
    found = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        found.append((level, begin >> level))
        begin += 1 << level
    return found


def inclusion_path(index: int, size: int) -> list[list[Node]]:
    """What the proof consists of that leaf `index` is in the tree of `size` leaves (RFC 9162, 2.1.3.1).

    Returns:
        One element for each hash of the proof: the complete subtrees that it is folded from.

    Raises:
        ProofError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise ProofError(f"leaf {index} is not in a tree of {size} leaves")
    path = []
    begin, end = 0, size
    while end - begin > 1:
        cut = begin + _split(end - begin)
        if index < cut:
            path.append(subtrees(cut, end))
            end = cut
        else:
            path.append(subtrees(begin, cut))
            begin = cut
    return path[::-1]


def consistency_path(size1: int, size2: int) -> list[list[Node]]:
    """What the proof consists of that the tree of `size1` leaves begins that of `size2` (RFC 9162, 2.1.4.1).

    Returns:
        As `inclusion_path`; nothing for equal sizes.

    Raises:
        ProofError: `size1` is 0 or above `size2`.
    """
    if not 0 < size1 <= size2:
        raise ProofError(f"no tree of {size2} leaves has a first part of {size1} that could be proven")
    path = []
    begin, end, whole = 0, size2, True
    while size1 < end:
        cut = begin + _split(end - begin)
        if size1 <= cut:
            path.append(subtrees(cut, end))
            end = cut
        else:
            path.append(subtrees(begin, cut))
            begin, whole = cut, False
    if not whole:
        path.append(subtrees(begin, end))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that a leaf is in a tree (RFC 9162, 2.1.3.2).

    Args:
        leaf: the leaf's hash.
        index: of the leaf, from 0.
        size: leaves of the tree.
        proof: from the leaf upwards.
        root: of the tree.

    Raises:
        ProofError: it is not shown.
    """
    _check_hashes([leaf, root, *proof])
    if not 0 <= index < size:
        raise ProofError(f"leaf {index} is not in a tree of {size} leaves")
    computed = leaf
    for sibling, is_left in _climb(index, size - 1, proof):
        computed = node_hash(sibling, computed) if is_left else node_hash(computed, sibling)
    if computed != root:
        raise ProofError("the proof leads to another root")


def verify_consistency(size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]) -> None:
    """Check that a tree is the beginning of another (RFC 9162, 2.1.4.2).

    The empty tree begins every tree, which says nothing: it is refused, also against itself.

    Raises:
        ProofError: it is not shown.
    """
    _check_hashes([root1, root2, *proof])
    if not 0 < size1 <= size2:
        raise ProofError(f"nothing proves a tree of {size1} leaves to be the beginning of one of {size2}")
    if size1 == size2:
        if proof:
            raise ProofError("trees of one size need no proof, but there is one")
        if root1 != root2:
            raise ProofError("two roots for one size: the log has been forked")
        return
    # A first tree that is complete is itself the first hash of the path.
    path = [root1, *proof] if size1 & (size1 - 1) == 0 else list(proof)
    if not path:
        raise ProofError("the proof is empty")
    node, last = size1 - 1, size2 - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = path[0]
    for sibling, is_left in _climb(node, last, path[1:]):
        if is_left:
            first = node_hash(sibling, first)
        second = node_hash(sibling, second) if is_left else node_hash(second, sibling)
    if first != root1:
        raise ProofError("the proof leads to another first root")
    if second != root2:
        raise ProofError("the proof leads to another second root")


class Frontier:
    """A tree that grows leaf by leaf and keeps only its O(log n) outermost complete subtrees.

    Args:
        on_node: told each subtree above the leaves when it becomes complete: level, index, hash.
    """

    def __init__(self, on_node: Callable[[int, int, bytes], object] | None = None) -> None:
        self.size = 0
        self._hashes: list[bytes] = []
        self._on_node = on_node

    def add(self, leaf: bytes) -> None:
        """Append a leaf's hash."""
        level, index, computed = 0, self.size, leaf
        while index & 1:
            computed = node_hash(self._hashes.pop(), computed)
            level, index = level + 1, index >> 1
            if self._on_node is not None:
                self._on_node(level, index, computed)
        self._hashes.append(computed)
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Append the hashes of leaves."""
        for leaf in leaves:
            self.add(leaf)

    def root(self) -> bytes:
        """Root of the tree so far."""
        return fold(self._hashes)


def _climb(node: int, last: int, proof: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """The hashes of a proof on the way from a node to the root, and whether each lies to the left.

    Args:
        node: index of the node in its level.
        last: index of the last node of that level.

    Raises:
        ProofError: the proof has another length than the way.
    """
    for sibling in proof:
        if last == 0:
            raise ProofError("the proof is too long")
        is_left = bool(node & 1) or node == last
        yield sibling, is_left
        while is_left and not node & 1 and node:
            node, last = node >> 1, last >> 1
        node, last = node >> 1, last >> 1
    if last:
        raise ProofError("the proof is too short")


def _split(count: int) -> int:
    """The largest power of two below `count`, which is at least 2."""
    return 1 << (count - 1).bit_length() - 1


def _check_hashes(hashes: Iterable[bytes]) -> None:
    if any(len(entry) != HASH_BYTES for entry in hashes):
        raise ProofError(f"a hash has not {HASH_BYTES} bytes")
