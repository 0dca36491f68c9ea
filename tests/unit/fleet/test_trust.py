"""The fleet's authority: what it issues, when it renews, and how one root follows another."""

import stat
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from chassis.tls import Material, TlsError, read, spiffe_id
from fleet.errors import FleetError
from fleet.trust import Authority, folders, rotate_authority

LIFE = timedelta(hours=24)
SETTLE = timedelta(seconds=10)
MEMBERS = {"orders": (), "control": ("127.0.0.1",)}


class Fleet:
    """An authority whose clock a test moves."""

    def __init__(self, state: Path) -> None:
        self.time = datetime.now(UTC).replace(microsecond=0)
        self.folder = state / "tls"
        self.authority = self.opened()

    def opened(self) -> Authority:
        """The same authority, as another process sees it."""
        return Authority(self.folder, leaf_life=LIFE, settle=SETTLE, now=lambda: self.time)

    def after(self, passed: timedelta) -> list[str]:
        """Let time pass and tend the authority."""
        self.time += passed
        return self.authority.tend()

    def of(self, member: str) -> Material:
        """What the member's folder holds."""
        return read(self.folder / member)

    def believes(self, reader: str, shown: str) -> bool:
        """Whether a member believes the certificate that another shows."""
        roots = x509.load_pem_x509_certificates(self.of(reader).authority)
        verifier = PolicyBuilder().store(Store(roots)).time(self.time).build_client_verifier()
        try:
            verifier.verify(leaf(self.of(shown)), [])
        except VerificationError:
            return False
        return True


def leaf(material: Material) -> x509.Certificate:
    return x509.load_pem_x509_certificate(material.certificate)


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    fleet = Fleet(tmp_path)
    fleet.authority.ensure(MEMBERS)
    return fleet


def test_a_certificate_names_its_member_twice_and_lives_a_day(fleet: Fleet) -> None:
    certificate = leaf(fleet.of("orders"))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["orders"]
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [spiffe_id("orders")]
    assert names.get_values_for_type(x509.IPAddress) == []
    assert certificate.not_valid_after_utc - fleet.time == LIFE
    assert fleet.believes("control", "orders")


def test_a_further_host_is_named_for_the_member_that_asked_for_it(fleet: Fleet) -> None:
    names = leaf(fleet.of("control")).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_what_is_kept_is_for_its_owner_only(fleet: Fleet) -> None:
    def modes(paths: Iterable[Path]) -> set[int]:
        return {stat.S_IMODE(path.stat().st_mode) for path in paths}

    assert modes(fleet.folder.rglob("*.key")) == {0o600}
    assert modes(fleet.folder.rglob("key.pem")) == {0o600}
    assert modes(fleet.folder.iterdir()) == {0o700}


def test_starting_again_changes_nothing(fleet: Fleet) -> None:
    before = fleet.of("orders"), fleet.of("control")
    fleet.opened().ensure(MEMBERS)
    assert (fleet.of("orders"), fleet.of("control")) == before


def test_a_new_member_gets_a_certificate_and_the_others_keep_theirs(fleet: Fleet) -> None:
    before = fleet.of("orders")
    fleet.authority.ensure({**MEMBERS, "edge": ()})
    assert fleet.believes("orders", "edge")
    assert fleet.of("orders") == before


def test_who_is_no_member_any_more_gets_no_new_certificate(fleet: Fleet) -> None:
    fleet.opened().ensure({"control": MEMBERS["control"]})
    assert fleet.authority.members() == ["control"]
    assert not (fleet.folder / "orders").exists()
    assert fleet.after(LIFE * 0.6) == ["New certificates for control."]
    assert fleet.authority.state().settled


def test_a_certificate_is_renewed_at_half_of_its_life_with_a_new_key(fleet: Fleet) -> None:
    before = fleet.of("orders")
    assert fleet.after(LIFE * 0.49) == []
    assert fleet.of("orders") == before
    assert fleet.after(LIFE * 0.02) == ["New certificates for control, orders."]
    after = fleet.of("orders")
    assert after.key != before.key
    assert after.authority == before.authority
    assert leaf(after).not_valid_after_utc == fleet.time + LIFE


def test_certificates_that_expired_while_the_fleet_was_away_are_new_when_it_starts(fleet: Fleet) -> None:
    fleet.time += timedelta(days=3)
    assert not fleet.believes("control", "orders")
    fleet.opened().ensure(MEMBERS)
    assert fleet.believes("control", "orders")


@pytest.mark.parametrize("back", [timedelta(minutes=6), timedelta(hours=1), timedelta(days=400)])
def test_a_clock_that_was_set_back_makes_a_new_root_and_certificates(fleet: Fleet, back: timedelta) -> None:
    assert fleet.after(-back) == [
        "The root of the authority is of a later time than the clock tells: a new one signs.",
        "New certificates for control, orders.",
    ]
    assert fleet.believes("control", "orders")
    assert fleet.believes("orders", "control")
    assert len(list(fleet.folder.glob("authority/root-*"))) == 2
    assert fleet.authority.tend() == []


def test_a_fleet_whose_clock_was_set_back_starts_with_certificates_that_are_valid(fleet: Fleet) -> None:
    fleet.time -= timedelta(hours=1)
    fleet.opened().ensure(MEMBERS)
    assert fleet.believes("control", "orders")
    assert fleet.believes("orders", "control")


def test_certificates_of_a_later_time_are_renewed_by_a_root_that_is_valid(fleet: Fleet) -> None:
    root = fleet.authority.state().signing
    fleet.after(LIFE)
    assert fleet.after(-timedelta(hours=1)) == ["New certificates for control, orders."]
    assert fleet.believes("control", "orders")
    fleet.after(LIFE)
    fleet.time -= timedelta(hours=1)
    fleet.opened().ensure(MEMBERS)
    assert fleet.believes("control", "orders")
    assert fleet.authority.state().signing == root


def test_no_certificate_begins_before_its_root(fleet: Fleet) -> None:
    """Or it would stay, as valid, when the root is replaced because it is not."""
    fleet.time -= timedelta(minutes=4)
    fleet.authority.ensure({**MEMBERS, "edge": ()})
    assert fleet.believes("control", "edge")
    fleet.after(-timedelta(minutes=3))
    assert fleet.believes("control", "edge")


def test_a_clock_that_was_set_back_does_not_hold_up_a_change_of_roots(fleet: Fleet) -> None:
    fleet.after(timedelta(days=1))
    fleet.authority.rotate()
    fleet.after(SETTLE)
    first = fleet.authority.state().signing
    fleet.time -= timedelta(minutes=4)
    assert fleet.authority.tend() == []
    assert fleet.after(SETTLE) == ["The old root of the authority is believed no more."]
    assert fleet.authority.state().signing == first
    assert fleet.believes("control", "orders")


def test_a_root_that_was_announced_at_a_later_time_never_signs(fleet: Fleet) -> None:
    fleet.after(timedelta(days=1))
    fleet.authority.rotate()
    announced = fleet.authority.state().announced
    assert "The announced root of the authority is not valid: another one is announced." in fleet.after(
        -timedelta(hours=1)
    )
    assert fleet.believes("control", "orders")
    assert fleet.after(SETTLE) == ["The new root of the authority signs."]
    assert fleet.authority.state().signing != announced
    assert fleet.believes("control", "orders")
    fleet.after(SETTLE)
    assert fleet.authority.state().settled
    assert len(list(fleet.folder.glob("authority/root-*"))) == 2


def test_while_the_root_changes_everybody_believes_everybody(fleet: Fleet) -> None:
    first = fleet.of("orders")
    fleet.authority.rotate()
    announced = fleet.of("orders")
    assert announced.certificate == first.certificate
    assert announced.authority.startswith(first.authority)
    assert len(x509.load_pem_x509_certificates(announced.authority)) == 2
    assert fleet.after(SETTLE) == ["The new root of the authority signs."]
    signed = fleet.of("orders")
    assert leaf(signed).issuer != leaf(first).issuer
    assert signed.authority == announced.authority
    assert fleet.after(SETTLE) == ["The old root of the authority is believed no more."]
    assert fleet.of("orders").certificate == signed.certificate
    assert len(x509.load_pem_x509_certificates(fleet.of("orders").authority)) == 1
    assert fleet.believes("control", "orders")
    assert fleet.authority.state().settled


def test_no_step_is_taken_before_readers_have_seen_the_last(fleet: Fleet) -> None:
    fleet.authority.rotate()
    assert fleet.after(SETTLE - timedelta(seconds=1)) == []
    fleet.after(timedelta(seconds=1))
    assert fleet.after(SETTLE - timedelta(seconds=1)) == []


def test_a_certificate_of_the_old_root_is_nobodys_when_the_change_is_done(fleet: Fleet) -> None:
    old = fleet.of("orders")
    fleet.authority.rotate()
    fleet.after(SETTLE)
    fleet.after(SETTLE)
    folders.publish(
        fleet.folder / "orders", certificate=old.certificate, key=old.key, authority=old.authority
    )
    assert not fleet.believes("control", "orders")


def test_the_old_roots_key_is_gone_as_soon_as_the_new_one_signs(fleet: Fleet) -> None:
    (before,) = fleet.folder.glob("authority/*.key")
    fleet.authority.rotate()
    assert before.exists()
    fleet.after(SETTLE)
    assert not before.exists()
    assert len(list(fleet.folder.glob("authority/*.key"))) == 1


def test_whoever_comes_next_goes_on_where_the_last_one_died(fleet: Fleet) -> None:
    fleet.authority.rotate()
    folders.publish(  # one member has not been told, as if the process had died in between
        fleet.folder / "orders",
        certificate=fleet.of("orders").certificate,
        key=fleet.of("orders").key,
        authority=x509_first(fleet.of("orders").authority),
    )
    fleet.time += SETTLE
    fleet.opened().tend()
    assert fleet.believes("orders", "control")
    assert fleet.believes("control", "orders")


def announced_to_nobody(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin to replace the root, and die before a member is told."""

    def die(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as dying:
        dying.setattr(folders, "republish", die)
        with pytest.raises(OSError, match="the disk is full"):
            fleet.authority.rotate()
    assert len(x509.load_pem_x509_certificates(fleet.of("orders").authority)) == 1


def test_a_root_that_was_announced_to_nobody_is_announced_before_it_signs(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = leaf(fleet.of("orders"))
    announced_to_nobody(fleet, monkeypatch)
    assert fleet.after(SETTLE) == ["The new root of the authority is announced to control, orders too."]
    assert len(x509.load_pem_x509_certificates(fleet.of("orders").authority)) == 2
    assert leaf(fleet.of("orders")) == before
    assert fleet.after(SETTLE - timedelta(seconds=1)) == []
    assert fleet.after(timedelta(seconds=1)) == ["The new root of the authority signs."]
    assert leaf(fleet.of("orders")).issuer != before.issuer


def test_a_start_that_announces_a_root_gives_members_time_to_see_it(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    announced_to_nobody(fleet, monkeypatch)
    fleet.time += SETTLE
    fleet.opened().ensure(MEMBERS)
    assert len(x509.load_pem_x509_certificates(fleet.of("orders").authority)) == 2
    assert fleet.after(SETTLE - timedelta(seconds=1)) == []
    assert fleet.after(timedelta(seconds=1)) == ["The new root of the authority signs."]


def x509_first(bundle: bytes) -> bytes:
    end = b"-----END CERTIFICATE-----\n"
    return bundle.partition(end)[0] + end


def test_a_member_with_a_certificate_of_the_old_root_delays_its_end(fleet: Fleet) -> None:
    old = fleet.of("orders")
    fleet.authority.rotate()
    fleet.after(SETTLE)
    folders.publish(
        fleet.folder / "orders",
        certificate=old.certificate,
        key=old.key,
        authority=fleet.of("control").authority,
    )
    assert fleet.after(SETTLE) == ["The new root of the authority signed for orders."]
    assert len(x509.load_pem_x509_certificates(fleet.of("control").authority)) == 2
    assert fleet.after(SETTLE) == ["The old root of the authority is believed no more."]


def test_dying_while_the_late_are_given_certificates_does_not_end_the_old_root_early(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = fleet.of("orders")
    fleet.authority.rotate()
    fleet.after(SETTLE)
    believed = fleet.of("orders").authority
    folders.publish(fleet.folder / "orders", certificate=old.certificate, key=old.key, authority=believed)
    write = folders.write

    def die_at_the_state(path: Path, content: bytes) -> None:
        if path.name == "state.json":
            raise OSError("the disk is full")
        write(path, content)

    with monkeypatch.context() as dying:
        dying.setattr(folders, "write", die_at_the_state)
        with pytest.raises(OSError, match="the disk is full"):
            fleet.after(SETTLE)
    assert fleet.authority.tend() == ["The new root of the authority signed for orders."]
    assert fleet.authority.tend() == []
    assert len(x509.load_pem_x509_certificates(fleet.of("control").authority)) == 2


def test_a_root_is_replaced_before_it_expires(fleet: Fleet) -> None:
    first = fleet.authority.state().signing
    assert "The authority grows old: a new root is announced." in fleet.after(timedelta(days=250))
    fleet.after(SETTLE)
    fleet.after(SETTLE)
    assert fleet.authority.state().settled
    assert fleet.authority.state().signing != first
    assert fleet.believes("control", "orders")


def test_a_fleet_that_was_away_for_the_life_of_its_root_starts_with_a_new_one(fleet: Fleet) -> None:
    first = fleet.authority.state().signing
    fleet.time += timedelta(days=365)
    fleet.opened().ensure(MEMBERS)
    assert fleet.authority.state().settled
    assert fleet.authority.state().signing != first
    assert fleet.believes("control", "orders")
    assert fleet.believes("orders", "control")
    assert len(list(fleet.folder.glob("authority/root-*"))) == 2  # a certificate and its key


def test_a_root_that_expires_while_it_is_replaced_has_one_successor(fleet: Fleet) -> None:
    fleet.authority.rotate()
    fleet.time += timedelta(days=365)
    fleet.opened().ensure(MEMBERS)
    assert fleet.authority.state().settled
    assert fleet.believes("control", "orders")
    assert len(list(fleet.folder.glob("authority/root-*"))) == 2


def test_who_tends_an_expired_root_makes_a_new_one(fleet: Fleet) -> None:
    assert fleet.after(timedelta(days=366)) == [
        "The root of the authority has expired: a new one signs.",
        "New certificates for control, orders.",
    ]
    assert fleet.believes("control", "orders")


@pytest.mark.parametrize(("file", "what"), [("state.json", "The state"), ("root-*.pem", "The certificate")])
def test_what_cannot_be_read_is_named_with_what_helps(fleet: Fleet, file: str, what: str) -> None:
    (path,) = (fleet.folder / "authority").glob(file)
    path.write_text("")
    with pytest.raises(FleetError, match=f"{what} of the authority .* delete .* makes a new authority"):
        fleet.opened().ensure(MEMBERS)


def test_two_changes_at_a_time_are_refused(fleet: Fleet) -> None:
    begun = rotate_authority(fleet.folder.parent)
    assert not begun.settled
    with pytest.raises(FleetError, match="being replaced already"):
        rotate_authority(fleet.folder.parent)


def test_there_is_nothing_to_rotate_without_an_authority(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="GREENLEDGER_MTLS=on"):
        rotate_authority(tmp_path)


def test_a_change_shows_all_three_files_at_once(fleet: Fleet) -> None:
    """Between any two steps of publishing, what a reader finds belongs together."""
    folder = fleet.folder / "orders"
    seen = set()
    for _ in range(5):
        fleet.after(LIFE * 0.6)
        target = (folder / "current").readlink()
        seen.add(target)
        for name in ("certificate.pem", "key.pem", "authority.pem"):
            assert (folder / name).resolve() == (folder / target / name).resolve()
    assert len(seen) == 5
    assert len(list((folder / "versions").iterdir())) == 2


def test_a_key_of_another_certificate_is_never_read(fleet: Fleet, tmp_path: Path) -> None:
    orders, control = fleet.of("orders"), fleet.of("control")
    folders.publish(
        tmp_path / "odd", certificate=orders.certificate, key=control.key, authority=orders.authority
    )
    with pytest.raises(TlsError, match=r"key\.pem is not the key of"):
        read(tmp_path / "odd")


def test_a_missing_file_is_named(fleet: Fleet) -> None:
    (fleet.folder / "orders" / "key.pem").unlink()
    with pytest.raises(TlsError, match=r"key\.pem cannot be read"):
        read(fleet.folder / "orders")


def test_a_key_never_shows(fleet: Fleet) -> None:
    assert "PRIVATE" not in repr(fleet.of("orders"))
