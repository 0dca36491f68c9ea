"""Hashes and proofs of the Merkle tree."""

import base64
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.merklelog.tree import (
    EMPTY_ROOT,
    Frontier,
    ProofError,
    consistency_path,
    fold,
    inclusion_path,
    leaf_hash,
    node_hash,
    subtrees,
    verify_consistency,
    verify_inclusion,
)
from tests.unit.merklelog import vectors

MOST = 300
LEAVES = [leaf_hash(str(n).encode()) for n in range(MOST)]


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 9162, 2.1.1, word by word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    cut = 1
    while cut * 2 < len(leaves):
        cut *= 2
    return node_hash(naive_root(leaves[:cut]), naive_root(leaves[cut:]))


class Tree:
    """All complete subtrees of the leaves, as the store keeps them."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.nodes = {(0, index): leaf for index, leaf in enumerate(leaves)}
        self.roots = [EMPTY_ROOT]
        frontier = Frontier(lambda level, index, digest: self.nodes.update({(level, index): digest}))
        for leaf in leaves:
            frontier.add(leaf)
            self.roots.append(frontier.root())

    def inclusion(self, index: int, size: int) -> list[bytes]:
        return [fold([self.nodes[node] for node in part]) for part in inclusion_path(index, size)]

    def consistency(self, size1: int, size2: int) -> list[bytes]:
        return [fold([self.nodes[node] for node in part]) for part in consistency_path(size1, size2)]


TREE = Tree(LEAVES)


def test_known_answers_of_rfc_6962_come_out():
    known = vectors.load("rfc6962_known_answers.json")
    leaves = [leaf_hash(bytes.fromhex(text)) for text in known["leaf_inputs_hex"]]
    tree = Tree(leaves)
    for level, hashes in enumerate(known["node_hashes_by_level"]):
        assert [tree.nodes[level, index].hex() for index in range(len(hashes))] == hashes
    assert [root.hex() for root in tree.roots] == known["root_by_tree_size"]
    for case in known["hasher"]:
        match case["kind"]:
            case "empty":
                computed = EMPTY_ROOT
            case "leaf":
                computed = leaf_hash(bytes.fromhex(case["data_hex"]))
            case _:
                computed = node_hash(bytes.fromhex(case["left_hex"]), bytes.fromhex(case["right_hex"]))
        assert computed.hex() == case["want"], case["desc"]


@pytest.mark.parametrize("name", vectors.names("inclusion"))
def test_a_published_inclusion_proof_is_judged_as_it_should_be(name: str):
    case = vectors.load(name)
    proof = [base64.b64decode(entry) for entry in case["proof"] or []]

    def verify() -> None:
        leaf, root = base64.b64decode(case["leafHash"]), base64.b64decode(case["root"])
        verify_inclusion(leaf, case["leafIdx"], case["treeSize"], proof, root)

    if case["wantErr"]:
        with pytest.raises(ProofError):
            verify()
    else:
        verify()


@pytest.mark.parametrize("name", vectors.names("consistency"))
def test_a_published_consistency_proof_is_judged_as_it_should_be(name: str):
    case = vectors.load(name)
    proof = [base64.b64decode(entry) for entry in case["proof"] or []]

    def verify() -> None:
        roots = base64.b64decode(case["root1"]), base64.b64decode(case["root2"])
        verify_consistency(case["size1"], case["size2"], *roots, proof)

    if case["wantErr"]:
        with pytest.raises(ProofError):
            verify()
    else:
        verify()


def test_the_frontier_has_the_root_of_the_definition_at_every_size():
    for size in range(MOST + 1):
        assert TREE.roots[size] == naive_root(LEAVES[:size])
        assert TREE.roots[size] == fold([TREE.nodes[node] for node in subtrees(0, size)])


def test_every_leaf_is_proven_at_every_size():
    for size in range(1, MOST + 1):
        for index in {0, 1, size // 3, size // 2, size - 2, size - 1} & set(range(size)):
            proof = TREE.inclusion(index, size)
            assert len(proof) <= (size - 1).bit_length()
            verify_inclusion(LEAVES[index], index, size, proof, TREE.roots[size])


def test_every_size_is_proven_to_begin_every_later_one():
    for size2 in range(1, MOST + 1, 7):
        for size1 in range(1, size2 + 1):
            proof = TREE.consistency(size1, size2)
            verify_consistency(size1, size2, TREE.roots[size1], TREE.roots[size2], proof)


@settings(max_examples=300)
@given(st.data())
def test_no_altered_inclusion_proof_is_accepted(data: st.DataObject):
    size = data.draw(st.integers(1, MOST))
    index = data.draw(st.integers(0, size - 1))
    arguments = [LEAVES[index], TREE.roots[size], *TREE.inclusion(index, size)]
    which = data.draw(st.integers(0, len(arguments) - 1))
    bit = data.draw(st.integers(0, 255))
    altered = int.from_bytes(arguments[which], "big") ^ 1 << bit
    arguments[which] = altered.to_bytes(32, "big")
    leaf, root, *proof = arguments
    with pytest.raises(ProofError):
        verify_inclusion(leaf, index, size, proof, root)


@settings(max_examples=300)
@given(st.data())
def test_no_proof_serves_another_leaf_size_or_length(data: st.DataObject):
    size = data.draw(st.integers(2, MOST))
    index = data.draw(st.integers(0, size - 1))
    proof, root = TREE.inclusion(index, size), TREE.roots[size]
    other = data.draw(st.integers(0, size - 1).filter(lambda value: value != index))
    with pytest.raises(ProofError):
        verify_inclusion(LEAVES[index], other, size, proof, root)
    with pytest.raises(ProofError):
        verify_inclusion(LEAVES[index], index, size, proof[:-1], root)
    with pytest.raises(ProofError):
        verify_inclusion(LEAVES[index], index, size, [*proof, root], root)


@settings(max_examples=300)
@given(st.data())
def test_no_altered_consistency_proof_is_accepted(data: st.DataObject):
    size2 = data.draw(st.integers(2, MOST))
    size1 = data.draw(st.integers(1, size2 - 1))
    arguments = [TREE.roots[size1], TREE.roots[size2], *TREE.consistency(size1, size2)]
    which = data.draw(st.integers(0, len(arguments) - 1))
    altered = int.from_bytes(arguments[which], "big") ^ 1 << data.draw(st.integers(0, 255))
    arguments[which] = altered.to_bytes(32, "big")
    root1, root2, *proof = arguments
    with pytest.raises(ProofError):
        verify_consistency(size1, size2, root1, root2, proof)


@pytest.mark.parametrize("size2", [0, 1, 8])
def test_the_empty_tree_proves_nothing(size2: int):
    with pytest.raises(ProofError):
        verify_consistency(0, size2, EMPTY_ROOT, TREE.roots[size2], [])
    with pytest.raises(ProofError):
        consistency_path(0, size2)


def test_equal_sizes_take_no_proof():
    root = TREE.roots[5]
    verify_consistency(5, 5, root, root, [])
    with pytest.raises(ProofError, match="need no proof"):
        verify_consistency(5, 5, root, root, [root])
    with pytest.raises(ProofError, match="forked"):
        verify_consistency(5, 5, root, TREE.roots[6], [])


@pytest.mark.parametrize(("index", "size"), [(-1, 5), (5, 5), (6, 5), (0, 0), (2**63, 2**63)])
def test_a_leaf_outside_the_tree_has_no_proof(index: int, size: int):
    with pytest.raises(ProofError):
        inclusion_path(index, size)
    with pytest.raises(ProofError):
        verify_inclusion(LEAVES[0], index, size, [], LEAVES[0])


def test_a_later_tree_is_not_the_beginning_of_an_earlier_one():
    with pytest.raises(ProofError):
        consistency_path(6, 5)
    with pytest.raises(ProofError):
        verify_consistency(6, 5, TREE.roots[6], TREE.roots[5], [])
