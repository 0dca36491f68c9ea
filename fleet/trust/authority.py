"""The authority of one fleet: its roots, the leaves they sign, and the change from one root to the next.

    <state>/tls/authority/      root-<id>.pem, root-<id>.key (0600), state.json
    <state>/tls/<member>/       certificate.pem, key.pem, authority.pem (see `fleet.trust.folders`)

A root is replaced in three steps, each a `settle` apart, so that at no moment a certificate is shown to
somebody who does not believe its root yet: the new root is announced in every authority.pem; then it signs
all leaves anew, and the old root's key is deleted; then the old root is believed no more. The steps are kept
on disk, so that whoever tends the authority next goes on where the last one stopped.
"""

import fcntl
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from chassis.tls import Material, TlsError, read
from fleet.errors import FleetError
from fleet.trust import folders
from fleet.trust.certificates import Root, elapsed, hosts_of, signed_by

LEAF_LIFE: Final = timedelta(hours=24)
ROOT_LIFE: Final = timedelta(days=365)
SETTLE: Final = timedelta(seconds=10)
_RENEW_LEAF_AT = 0.5  # two thirds leave no time for a fleet that was away
_RENEW_ROOT_AT = 0.66
_AUTHORITY: Final = "authority"
_Now = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class RootState:
    """Which roots there are.

    Args:
        signing: id of the one that signs.
        trusted: ids of those in authority.pem.
        announced: id of the one that will sign next; empty when none will.
        since: when this state began.
    """

    signing: str
    trusted: tuple[str, ...]
    announced: str
    since: datetime

    @property
    def settled(self) -> bool:
        """Whether no change is under way."""
        return self.trusted == (self.signing,)


class Authority:
    """Issues and renews certificates in a folder; several processes may tend the same one.

    Args:
        folder: `<state>/tls`.
        leaf_life: of members' certificates; default 24 h.
        root_life: of the authority's own; default 365 days.
        settle: how long readers may take to see a change; default 10 s, ten times that of gRPC's file
        watcher. now: tells the time (aware UTC).
    """

    def __init__(
        self,
        folder: Path,
        *,
        leaf_life: timedelta = LEAF_LIFE,
        root_life: timedelta = ROOT_LIFE,
        settle: timedelta = SETTLE,
        now: _Now = lambda: datetime.now(UTC),
    ) -> None:
        self._folder = folder
        self._roots = folder / _AUTHORITY
        self._leaf_life = leaf_life
        self._root_life = root_life
        self._settle = settle
        self._now = now

    def ensure(self, members: Mapping[str, Iterable[str]]) -> None:
        """Make what is missing: the authority, and a certificate for each member; nobody else keeps one.

        Args:
            members: name -> further hosts under which its clients expect it. The folders of others are
            deleted, so that they get no new certificates; the ones they have end by themselves.

        Raises:
            FleetError: what is there cannot be read.
        """
        self._roots.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._alone():
            if not self._state_file.exists():
                self._begin()
            state, _ = self._living()
            for name in set(self.members()).difference(members):
                shutil.rmtree(self._folder / name)
            self._remind(state)  # or they would learn it below, with no time to see it
            for name, hosts in members.items():
                wanted, held = tuple(hosts), self._held(name)
                certificate = _certificate(held)
                current = certificate is not None and hosts_of(certificate, name) == wanted
                if held is None or not current or held.authority != self._bundle(state):
                    self._issue(state, name, wanted)
            self._renew(state)

    def tend(self) -> list[str]:
        """Do what is due: renew leaves, take the next step of a change of roots, begin one in time.

        Returns:
            a sentence for each thing that was done.
        """
        with self._alone():
            state, done = self._living()
            done += self._step(state)
            state = self._state()
            if state.settled and elapsed(self._root(state.signing), self._now()) >= _RENEW_ROOT_AT:
                self._announce(state)
                done.append("The authority grows old: a new root is announced.")
            renewed = self._renew(self._state())
            if renewed:
                done.append(f"New certificates for {', '.join(renewed)}.")
            return done

    def rotate(self) -> None:
        """Begin to replace the root; `tend` completes it within twice `settle`.

        Raises:
            FleetError: a change is under way already.
        """
        with self._alone():
            state = self._state()
            if not state.settled:
                raise FleetError("The authority is being replaced already: wait until that is done.")
            self._announce(state)

    def state(self) -> RootState:
        """The roots as they are.

        Raises:
            FleetError: there is no authority yet, or its state cannot be read.
        """
        with self._alone():
            return self._state()

    def members(self) -> list[str]:
        """Names of those who have a certificate."""
        found = (path.parent.name for path in self._folder.glob("*/current"))
        return sorted(name for name in found if name != _AUTHORITY)

    @property
    def _state_file(self) -> Path:
        return self._roots / "state.json"

    def _living(self) -> tuple[RootState, list[str]]:
        """The state, of a new authority where nobody believes the old root: it has ended, or not begun."""
        state = self._state()
        root = self._root(state.signing)
        if elapsed(root, self._now()) < 1:
            return state, []
        self._begin()
        self._forget(state.trusted)
        expired = root.not_valid_after_utc <= self._now()
        why = "has expired" if expired else "is of a later time than the clock tells"
        return self._state(), [f"The root of the authority {why}: a new one signs."]

    def _begin(self) -> None:
        root = self._keep(Root.new(self._now(), self._root_life))
        self._set(RootState(root, (root,), "", self._now()))

    def _announce(self, state: RootState) -> None:
        root = self._keep(Root.new(self._now(), self._root_life))
        # What is believed first, then what is planned: dying in between must not let it sign unannounced.
        after = RootState(state.signing, (*state.trusted, root), root, self._now())
        self._set(after)
        self._tell(after)

    def _step(self, state: RootState) -> list[str]:
        if state.announced and elapsed(self._root(state.announced), self._now()) >= 1:
            self._announce(replace(state, trusted=(state.signing,), announced=""))
            self._forget((state.announced,))
            return ["The announced root of the authority is not valid: another one is announced."]
        if late := self._remind(state):
            return [f"The new root of the authority is announced to {', '.join(late)} too."]
        if self._now() < state.since:  # the clock was set back: how long ago it began nobody knows
            state = replace(state, since=self._now())
            self._set(state)
        if state.settled or self._now() - state.since < self._settle:
            return []
        if state.announced:
            after = replace(state, signing=state.announced, announced="", since=self._now())
            self._set(after)
            for name in self.members():
                self._reissue(after, name)
            self._key_path(state.signing).unlink(missing_ok=True)
            return ["The new root of the authority signs."]
        if late := self._not_by(state):  # whoever let it sign died before all had a new certificate
            self._set(replace(state, since=self._now()))
            for name in late:
                self._reissue(state, name)
            return [f"The new root of the authority signed for {', '.join(late)}."]
        after = replace(state, trusted=(state.signing,), since=self._now())
        self._set(after)
        self._tell(after)
        self._forget(set(state.trusted) - set(after.trusted))
        return ["The old root of the authority is believed no more."]

    def _renew(self, state: RootState) -> list[str]:
        due = []
        for name in self.members():
            certificate = _certificate(self._held(name))
            if certificate is None or elapsed(certificate, self._now()) >= _RENEW_LEAF_AT:
                due.append(name)
                self._reissue(state, name)
        return due

    def _not_by(self, state: RootState) -> list[str]:
        root = self._root(state.signing)
        held = {name: _certificate(self._held(name)) for name in self.members()}
        return [name for name, found in held.items() if found is None or not signed_by(found, root)]

    def _remind(self, state: RootState) -> list[str]:
        """Tell those whom whoever announced a root did not reach before it died; the wait begins anew."""
        late = list(self._untold(state)) if state.announced else []
        if late:
            # The wait first: dying in between must not shorten it for those who are told by then.
            self._set(replace(state, since=self._now()))
            self._tell(state)
        return late

    def _tell(self, state: RootState) -> None:
        for name, held in self._untold(state).items():
            folders.republish(self._folder / name, held, self._bundle(state))

    def _untold(self, state: RootState) -> dict[str, Material]:
        bundle = self._bundle(state)
        found = {name: self._held(name) for name in self.members()}
        return {name: held for name, held in found.items() if held is not None and held.authority != bundle}

    def _reissue(self, state: RootState, name: str) -> None:
        certificate = _certificate(self._held(name))
        self._issue(state, name, hosts_of(certificate, name) if certificate is not None else ())

    def _issue(self, state: RootState, name: str, hosts: Iterable[str]) -> None:
        try:
            root = Root.load(self._pem(state.signing), self._key_path(state.signing).read_bytes())
        except (OSError, ValueError) as error:
            raise self._unreadable("The key") from error
        certificate, key = root.leaf(name, hosts, self._now(), self._leaf_life)
        folders.publish(self._folder / name, certificate=certificate, key=key, authority=self._bundle(state))

    def _root(self, root: str) -> x509.Certificate:
        try:
            return x509.load_pem_x509_certificate(self._pem(root))
        except (OSError, ValueError) as error:
            raise self._unreadable("The certificate") from error

    def _missing(self) -> FleetError:
        return FleetError(
            f"There is no certificate authority in {self._roots}: start the fleet with GREENLEDGER_MTLS=on."
        )

    def _unreadable(self, what: str) -> FleetError:
        return FleetError(
            f"{what} of the authority in {self._roots} cannot be read: delete {self._folder}, and the next "
            "start makes a new authority."
        )

    def _held(self, name: str) -> Material | None:
        try:
            return read(self._folder / name)
        except TlsError:
            return None

    def _bundle(self, state: RootState) -> bytes:
        return b"".join(self._pem(root) for root in state.trusted)

    def _keep(self, root: Root) -> str:
        name = f"{root.certificate.serial_number:040x}"[:16]
        folders.write(self._key_path(name), root.key_pem)
        folders.write(self._pem_path(name), root.pem)
        return name

    def _forget(self, roots: Iterable[str]) -> None:
        for root in roots:
            self._key_path(root).unlink(missing_ok=True)
            self._pem_path(root).unlink(missing_ok=True)

    def _pem(self, root: str) -> bytes:
        return self._pem_path(root).read_bytes()

    def _pem_path(self, root: str) -> Path:
        return self._roots / f"root-{root}.pem"

    def _key_path(self, root: str) -> Path:
        return self._roots / f"root-{root}.key"

    def _state(self) -> RootState:
        try:
            found = json.loads(self._state_file.read_text())
            since = datetime.fromisoformat(found["since"])
            return RootState(found["signing"], tuple(found["trusted"]), found["announced"], since)
        except FileNotFoundError:
            raise self._missing() from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._unreadable("The state") from error

    def _set(self, state: RootState) -> None:
        facts = {
            "signing": state.signing,
            "trusted": list(state.trusted),
            "announced": state.announced,
            "since": state.since.isoformat(),
        }
        folders.write(self._state_file, json.dumps(facts, indent=2).encode())

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time; the supervisor and the command line share the folder."""
        if not self._roots.is_dir():
            raise self._missing()
        for folder in (self._folder, self._roots):
            folder.chmod(0o700)
        with (self._roots / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def rotate_authority(state_dir: Path) -> RootState:
    """Begin to replace the authority of the fleet on a state folder; the fleet that runs there completes it.

    Returns:
        the state after the begin; `Authority(state_dir / "tls").state().settled` says when it is done.

    Raises:
        FleetError: there is no authority, or it is being replaced already.
    """
    authority = Authority(state_dir / "tls")
    authority.rotate()
    return authority.state()


def _certificate(held: Material | None) -> x509.Certificate | None:
    return x509.load_pem_x509_certificate(held.certificate) if held is not None else None
