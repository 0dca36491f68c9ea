"""`greenledger traffic`: how calls travel, looked at and changed while everything runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.commands.common import StateDir
from fleet.commands.operate import AsJson, Why, as_data, group, print_json, say, table, when
from fleet.commands.remote import EdgeUrl, Email, PasswordFile, at_edge
from fleet.errors import FleetError

if TYPE_CHECKING:
    from fleet.client import RpcEdge, Session
    from greenledger.control.v1 import traffic_pb2 as pb

EDGE = "edge"
Of = Annotated[str, typer.Argument(help="The service, e.g. crops; `edge` for the limits of the edge.")]
Service = Annotated[str, typer.Argument(help="The service, e.g. crops.")]

app = group(
    "How calls travel: weights of versions, header routes, retries, breakers, limits. Changes count at once."
)


@app.command("show")
def show(
    service: Annotated[
        str | None, typer.Argument(help="Only this; `edge` for the limits of the edge.")
    ] = None,
    as_json: AsJson = False,
    edge_url: EdgeUrl = None,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Show the policies of all services, or one in full as `traffic set` takes it from a file."""

    async def ask(edge: "RpcEdge", session: "Session") -> None:
        if service is None:
            await _show_all(edge, session, as_json=as_json)
            return
        _show(service, await _policy(edge, session, service), as_json=as_json)

    at_edge(ask, edge_url, email, password_file, state_dir)


@app.command("set")
def set_(
    service: Of,
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE | FIELD=VALUE...",
            help="A YAML or JSON file, as `show` prints it, that replaces the policy; or fields to change, "
            "e.g. timeout=2s retries.attempts=2 balancing.method=ring_hash header_routes=x-version:v2=v2.",
        ),
    ],
    why: Why,
    edge_url: EdgeUrl = None,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Replace a policy by a file, or change some of its fields; what nobody else changed meanwhile.

    Of the edge: anonymous=200/15m authenticated=6000/15m shared=true. A field without a value has its
    default again.
    """

    async def ask(edge: "RpcEdge", session: "Session") -> None:
        seen = await _policy(edge, session, service)
        _show(service, await _set(edge, session, seen, _changed(seen, what), why), as_json=False)

    at_edge(ask, edge_url, email, password_file, state_dir)


@app.command("shift")
def shift(
    service: Service,
    why: Why,
    weights: Annotated[
        list[str] | None, typer.Argument(metavar="VERSION=PERCENT...", help="Such as v1=80 v2=20.")
    ] = None,
    even: Annotated[
        bool,
        typer.Option("--even", help="Calls go to every instance alike, whatever its version."),
    ] = False,
    edge_url: EdgeUrl = None,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Give the versions of a service other shares of its calls."""
    if bool(weights) == even:
        raise typer.BadParameter("Give each version its share, such as v1=80 v2=20; or --even.")

    async def ask(edge: "RpcEdge", session: "Session") -> None:
        from fleet.policies import shares, weights_of  # noqa: PLC0415
        from greenledger.control.v1 import traffic_pb2 as pb  # noqa: PLC0415

        seen = pb.GetTrafficPolicyRequest(service=service)
        before = await edge.call(edge.traffic.GetTrafficPolicy, seen, session)
        request = pb.ShiftTrafficRequest(
            service=service, weights=weights_of(weights or []), etag=before.etag, why=why
        )
        after = await edge.call(edge.traffic.ShiftTraffic, request, session)
        say(f"{service}: {shares(before)} -> {shares(after)} (version {after.version}).")

    at_edge(ask, edge_url, email, password_file, state_dir)


@app.command("reset")
def reset(
    service: Of,
    why: Why,
    edge_url: EdgeUrl = None,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Give a service back the policy that control was started with."""

    async def ask(edge: "RpcEdge", session: "Session") -> None:
        from greenledger.control.v1 import traffic_pb2 as pb  # noqa: PLC0415

        policy: pb.TrafficPolicy | pb.EdgePolicy
        if service == EDGE:
            policy = await edge.call(
                edge.traffic.ResetEdgePolicy, pb.ResetEdgePolicyRequest(why=why), session
            )
        else:
            request = pb.ResetTrafficPolicyRequest(service=service, why=why)
            policy = await edge.call(edge.traffic.ResetTrafficPolicy, request, session)
        _show(service, policy, as_json=False)

    at_edge(ask, edge_url, email, password_file, state_dir)


@app.command("history")
def history(
    service: Of,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 20,
    as_json: AsJson = False,
    edge_url: EdgeUrl = None,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Show what a service's policy or the limits of the edge were, who changed them and why; latest first."""

    async def ask(edge: "RpcEdge", session: "Session") -> "Sequence[pb.TrafficPolicy | pb.EdgePolicy]":
        return await _versions(edge, session, service, limit + 1)

    *found, oldest = at_edge(ask, edge_url, email, password_file, state_dir)
    if as_json:
        print_json([as_data(entry) for entry in found])
        return
    from fleet.policies import EDGE_FACTS, SERVICE_FACTS, facts  # noqa: PLC0415

    table(
        f"Policies of {service}",
        ("version", "time", "who", *(EDGE_FACTS if service == EDGE else SERVICE_FACTS), "why"),
        (
            (
                entry.version,
                when(entry.update_time),
                entry.updated_by or "-",
                *facts(entry, before),
                entry.why or "-",
            )
            for entry, before in zip(found, [*found[1:], oldest], strict=True)
        ),
        f"{service} has had the policy of the start only.",
    )


@app.command("rollback")
def rollback(
    service: Of,
    version: Annotated[
        int, typer.Argument(min=0, help="The version to go back to; 0 is what control was started with.")
    ],
    why: Why,
    edge_url: EdgeUrl = None,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Make the policy of an earlier version the newest, as `history` shows them."""

    async def ask(edge: "RpcEdge", session: "Session") -> None:
        from greenledger.control.v1 import traffic_pb2 as pb  # noqa: PLC0415

        policy: pb.TrafficPolicy | pb.EdgePolicy
        seen = await _policy(edge, session, service)
        if service == EDGE:
            limits = pb.RollbackEdgePolicyRequest(version=version, etag=seen.etag, why=why)
            policy = await edge.call(edge.traffic.RollbackEdgePolicy, limits, session)
        else:
            request = pb.RollbackTrafficPolicyRequest(
                service=service, version=version, etag=seen.etag, why=why
            )
            policy = await edge.call(edge.traffic.RollbackTrafficPolicy, request, session)
        _show(service, policy, as_json=False)

    at_edge(ask, edge_url, email, password_file, state_dir)


async def _versions(
    edge: "RpcEdge", session: "Session", service: str, most: int
) -> "Sequence[pb.TrafficPolicy | pb.EdgePolicy]":
    """The newest versions; when there are no more the last is what control was started with."""
    from greenledger.control.v1 import traffic_pb2 as pb  # noqa: PLC0415

    page: pb.ListEdgePolicyVersionsResponse | pb.ListTrafficPolicyVersionsResponse
    if service == EDGE:
        limits = pb.ListEdgePolicyVersionsRequest(page_size=most)
        page = await edge.call(edge.traffic.ListEdgePolicyVersions, limits, session)
    else:
        policies = pb.ListTrafficPolicyVersionsRequest(service=service, page_size=most)
        page = await edge.call(edge.traffic.ListTrafficPolicyVersions, policies, session)
    return [*page.policies, page.original][:most]


async def _policy(edge: "RpcEdge", session: "Session", service: str) -> "pb.TrafficPolicy | pb.EdgePolicy":
    from greenledger.control.v1 import traffic_pb2 as pb  # noqa: PLC0415

    if service == EDGE:
        return await edge.call(edge.traffic.GetEdgePolicy, pb.GetEdgePolicyRequest(), session)
    return await edge.call(
        edge.traffic.GetTrafficPolicy, pb.GetTrafficPolicyRequest(service=service), session
    )


def _changed(seen: "pb.TrafficPolicy | pb.EdgePolicy", what: list[str]) -> "pb.TrafficPolicy | pb.EdgePolicy":
    """The policy with the changes, or the one of the file.

    Raises:
        FleetError: what is asked for cannot be read.
    """
    from fleet.policies import change  # noqa: PLC0415
    from fleet.traffic_file import read_message  # noqa: PLC0415

    changed = type(seen)()
    if len(what) == 1 and "=" not in what[0]:
        read_message(Path(what[0]).expanduser(), changed)
    else:
        changed.MergeFromString(seen.SerializeToString())
        change(changed, what)
    return changed


async def _set(
    edge: "RpcEdge",
    session: "Session",
    seen: "pb.TrafficPolicy | pb.EdgePolicy",
    changed: "pb.TrafficPolicy | pb.EdgePolicy",
    why: str,
) -> "pb.TrafficPolicy | pb.EdgePolicy":
    """Put a policy in the place of the one that was seen."""
    from greenledger.control.v1 import traffic_pb2 as pb  # noqa: PLC0415

    if isinstance(changed, pb.EdgePolicy):
        limits = pb.SetEdgePolicyRequest(policy=changed, etag=seen.etag, why=why)
        return await edge.call(edge.traffic.SetEdgePolicy, limits, session)
    assert isinstance(seen, pb.TrafficPolicy)
    if changed.service not in ("", seen.service):
        raise FleetError(f"The file is of {changed.service}, not of {seen.service}.")
    request = pb.SetTrafficPolicyRequest(service=seen.service, policy=changed, etag=seen.etag, why=why)
    return await edge.call(edge.traffic.SetTrafficPolicy, request, session)


def _show(service: str, policy: "pb.TrafficPolicy | pb.EdgePolicy", *, as_json: bool) -> None:
    if as_json:
        print_json(as_data(policy))
        return
    import yaml  # noqa: PLC0415

    from fleet.policies import without_output  # noqa: PLC0415

    who = f", by {policy.updated_by}" if policy.updated_by else ""
    why = f": {policy.why}" if policy.why else ""
    at = f", {when(policy.update_time)}" if policy.HasField("update_time") else ""
    say(f"# {service}, version {policy.version}{at}{who}{why}")
    print(yaml.safe_dump(without_output(policy), sort_keys=False), end="")


async def _show_all(edge: "RpcEdge", session: "Session", *, as_json: bool) -> None:
    from fleet.policies import header_routes, limit_words, shares  # noqa: PLC0415
    from greenledger.control.v1 import traffic_pb2 as pb  # noqa: PLC0415

    policies: list[pb.TrafficPolicy] = []
    request = pb.ListTrafficPoliciesRequest(page_size=1000)
    while True:
        page = await edge.call(edge.traffic.ListTrafficPolicies, request, session)
        policies.extend(page.policies)
        request.page_token = page.next_page_token
        if not request.page_token:
            break
    limits = await edge.call(edge.traffic.GetEdgePolicy, pb.GetEdgePolicyRequest(), session)
    if as_json:
        print_json({"services": [as_data(policy) for policy in policies], "edge": as_data(limits)})
        return
    table(
        "Traffic",
        ("service", "shares", "header routes", "version", "who", "why"),
        (
            (
                policy.service,
                shares(policy),
                header_routes(policy) or "-",
                policy.version,
                policy.updated_by or "-",
                policy.why or "-",
            )
            for policy in policies
        ),
        "No service is known.",
    )
    together = "all edge processes together" if limits.shared else "each edge process"
    say(
        f"Edge: {limit_words(limits.anonymous)} an address without a token, "
        f"{limit_words(limits.authenticated)} a person with one; counted by {together}."
    )
