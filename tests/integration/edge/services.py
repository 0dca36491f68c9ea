"""Some of the real services' methods with canned behaviour, on one grpc.aio server."""

import asyncio
import base64
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.api.httpbody_pb2 import HttpBody
from google.protobuf import any_pb2, empty_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from chassis.tls import peer_identity, server_credentials
from greenledger.auth.v1 import auth_pb2, auth_pb2_grpc
from greenledger.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from greenledger.crops.v1 import crops_pb2, crops_pb2_grpc, epcis_pb2, epcis_pb2_grpc
from greenledger.orders.v1 import orders_pb2, orders_pb2_grpc
from greenledger.trace.v1 import findings_pb2, trace_pb2_grpc
from greenledger.users.v1 import users_pb2, users_pb2_grpc
from interceptors.status import NotBegun, refusal

MISSING = "00000000-0000-4000-8000-000000000404"
SLOW = "00000000-0000-4000-8000-000000000504"
CRASHING = "00000000-0000-4000-8000-000000000500"


@dataclass(frozen=True)
class SigningKey:
    """An RSA key with its id."""

    kid: str
    private: rsa.RSAPrivateKey

    @classmethod
    def new(cls, kid: str) -> "SigningKey":
        return cls(kid, rsa.generate_private_key(public_exponent=65537, key_size=2048))

    @property
    def pem(self) -> bytes:
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def jwk(self) -> auth_pb2.Jwk:
        numbers = self.private.public_key().public_numbers()
        return auth_pb2.Jwk(
            kty="RSA", kid=self.kid, use="sig", alg="RS256", n=_base64_of(numbers.n), e=_base64_of(numbers.e)
        )

    def token(self, *, lifetime_s: float = 600, algorithm: str = "RS256", **changes: Any) -> str:
        """A token; a claim that is changed to None is left out."""
        now = datetime.now(UTC)
        claims = {
            "iss": "greenledger-auth",
            "aud": "greenledger",
            "sub": str(uuid.uuid4()),
            "kind": "user",
            "roles": ["guest"],
            "scope": "orders.cart orders.checkout",
            "iat": now,
            "exp": now + timedelta(seconds=lifetime_s),
            "jti": str(uuid.uuid4()),
        } | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, self.private, algorithm=algorithm, headers={"kid": self.kid})


def _base64_of(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8)).rstrip(b"=").decode()


@dataclass
class Call:
    """A call as a service saw it."""

    method: str
    metadata: dict[str, str]
    request: Any
    time_remaining_s: float | None
    caller: str = ""


@dataclass
class Services:
    """The server, the calls that reached it and the keys that it publishes."""

    keys: list[SigningKey] = field(default_factory=lambda: [SigningKey.new("first")])
    calls: list[Call] = field(default_factory=list)
    unavailable_left: int = 0
    cancelled_left: int = 0
    not_begun_left: int = 0
    port: int = 0
    tls_dir: Path | None = None

    async def start(self, port: int = 0) -> None:
        """Listen on a port, default any; starting again after `stop` on the same one brings it back."""
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        auth_pb2_grpc.add_AuthServiceServicer_to_server(_Auth(self), self._server)
        orders_pb2_grpc.add_OrderServiceServicer_to_server(_Orders(self), self._server)
        catalog_pb2_grpc.add_CatalogServiceServicer_to_server(_Catalog(self), self._server)
        crops_pb2_grpc.add_CropCommandServiceServicer_to_server(_Crops(self), self._server)
        epcis_pb2_grpc.add_EpcisServiceServicer_to_server(_Epcis(self), self._server)
        users_pb2_grpc.add_UserServiceServicer_to_server(_Users(self), self._server)
        trace_pb2_grpc.add_TraceServiceServicer_to_server(_Trace(self), self._server)
        checks = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(checks, self._server)
        await checks.set("", health_pb2.HealthCheckResponse.SERVING)
        address = f"127.0.0.1:{port}"
        if self.tls_dir is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, server_credentials(self.tls_dir))
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(0)

    @property
    def token(self) -> str:
        return self.keys[0].token()

    def last(self, method: str) -> Call:
        return next(call for call in reversed(self.calls) if call.method == method)

    def saw(self, context: grpc.aio.ServicerContext, method: str, request: Any) -> None:
        metadata = {name: value for name, value in context.invocation_metadata() if isinstance(value, str)}
        caller = peer_identity(context.auth_context())
        self.calls.append(Call(method, metadata, request, context.time_remaining(), caller))

    async def refuse(self, context: grpc.aio.ServicerContext) -> None:
        """End the call if some are to be refused: overloaded, not begun, or by gRPC as its server stops."""
        if self.not_begun_left:
            self.not_begun_left -= 1
            refused = refusal(NotBegun("OVERLOADED", "Leaving."))
            await context.abort(refused.code, refused.message, refused.trailers())
        if self.unavailable_left:
            self.unavailable_left -= 1
            await fail(context, grpc.StatusCode.UNAVAILABLE, "OVERLOADED", "Try again.")
        if self.cancelled_left:
            self.cancelled_left -= 1
            await context.abort(grpc.StatusCode.CANCELLED, "CANCELLED")


async def fail(context: grpc.aio.ServicerContext, code: grpc.StatusCode, reason: str, message: str) -> None:
    """End the call with our error shape."""
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="greenledger", metadata={"orderId": "x"}))
    status = status_pb2.Status(code=code.value[0], message=message, details=[detail])
    await context.abort_with_status(rpc_status.to_status(status))


class _Auth(auth_pb2_grpc.AuthServiceServicer):
    def __init__(self, services: Services) -> None:
        self._services = services

    async def GetJwks(self, request: auth_pb2.GetJwksRequest, context: Any) -> auth_pb2.Jwks:
        self._services.saw(context, "GetJwks", request)
        return auth_pb2.Jwks(keys=[key.jwk() for key in self._services.keys])

    async def Login(self, request: auth_pb2.LoginRequest, context: Any) -> auth_pb2.TokenPair:
        self._services.saw(context, "Login", request)
        return auth_pb2.TokenPair(access_token=self._services.token, token_type="Bearer")

    async def PrepareCredentials(self, request: Any, context: Any) -> auth_pb2.PreparedCredentials:
        await fail(context, grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED", "Not for you.")
        raise AssertionError


class _Orders(orders_pb2_grpc.OrderServiceServicer):
    def __init__(self, services: Services) -> None:
        self._services = services

    async def Checkout(self, request: orders_pb2.CheckoutRequest, context: Any) -> orders_pb2.Order:
        self._services.saw(context, "Checkout", request)
        await self._services.refuse(context)
        lines = [
            orders_pb2.OrderLine(menu_item_id=item.menu_item_id, quantity=item.quantity)
            for item in request.items
        ]
        order = orders_pb2.Order(order_id=str(uuid.uuid4()), state=orders_pb2.ORDER_STATE_PAID, lines=lines)
        order.total.currency_code = "USD"
        order.total.units = 9007199254740993
        return order

    async def GetCart(self, request: Any, context: Any) -> orders_pb2.Cart:
        self._services.saw(context, "GetCart", request)
        return orders_pb2.Cart()

    async def SetCartItem(self, request: orders_pb2.SetCartItemRequest, context: Any) -> orders_pb2.Cart:
        self._services.saw(context, "SetCartItem", request)
        await self._services.refuse(context)
        item = orders_pb2.CartItem(menu_item_id=request.menu_item_id, quantity=request.quantity)
        return orders_pb2.Cart(items=[item])

    async def ClearCart(self, request: Any, context: Any) -> empty_pb2.Empty:
        self._services.saw(context, "ClearCart", request)
        return empty_pb2.Empty()

    async def GetOrder(self, request: orders_pb2.GetOrderRequest, context: Any) -> orders_pb2.Order:
        self._services.saw(context, "GetOrder", request)
        if request.order_id == MISSING:
            await fail(context, grpc.StatusCode.NOT_FOUND, "ORDER_NOT_FOUND", "There is no such order.")
        if request.order_id == SLOW:
            await asyncio.sleep(30)
        if request.order_id == CRASHING:
            raise RuntimeError("secret of the inside")
        return orders_pb2.Order(order_id=request.order_id)

    async def ListOrders(
        self, request: orders_pb2.ListOrdersRequest, context: Any
    ) -> orders_pb2.ListOrdersResponse:
        self._services.saw(context, "ListOrders", request)
        return orders_pb2.ListOrdersResponse()

    async def WatchOrder(
        self, request: orders_pb2.WatchOrderRequest, context: Any
    ) -> AsyncIterator[orders_pb2.WatchOrderResponse]:
        self._services.saw(context, "WatchOrder", request)
        if request.order_id == MISSING:
            await fail(context, grpc.StatusCode.NOT_FOUND, "ORDER_NOT_FOUND", "There is no such order.")
        for state in (orders_pb2.ORDER_STATE_PENDING, orders_pb2.ORDER_STATE_PAID):
            order = orders_pb2.Order(order_id=request.order_id, state=state)
            yield orders_pb2.WatchOrderResponse(order=order, final=state == orders_pb2.ORDER_STATE_PAID)


class _Catalog(catalog_pb2_grpc.CatalogServiceServicer):
    def __init__(self, services: Services) -> None:
        self._services = services

    async def GetMenuItem(
        self, request: catalog_pb2.GetMenuItemRequest, context: Any
    ) -> catalog_pb2.MenuItem:
        self._services.saw(context, "GetMenuItem", request)
        return catalog_pb2.MenuItem(menu_item_id=request.menu_item_id, name="Soup & <salad>")

    async def BatchGetMenuItems(
        self, request: catalog_pb2.BatchGetMenuItemsRequest, context: Any
    ) -> catalog_pb2.BatchGetMenuItemsResponse:
        self._services.saw(context, "BatchGetMenuItems", request)
        return catalog_pb2.BatchGetMenuItemsResponse()

    async def UpdateMenuItem(
        self, request: catalog_pb2.UpdateMenuItemRequest, context: Any
    ) -> catalog_pb2.MenuItem:
        self._services.saw(context, "UpdateMenuItem", request)
        return request.menu_item


class _Epcis(epcis_pb2_grpc.EpcisServiceServicer):
    def __init__(self, services: Services) -> None:
        self._services = services

    async def CreateCaptureJob(
        self, request: epcis_pb2.CreateCaptureJobRequest, context: grpc.aio.ServicerContext
    ) -> epcis_pb2.CaptureJob:
        self._services.saw(context, "CreateCaptureJob", request)
        await context.send_initial_metadata((("location", f"/api/epcis/capture/{request.request_id}"),))
        return epcis_pb2.CaptureJob(job_id=request.request_id)

    async def AddCapturePart(
        self, request: epcis_pb2.AddCapturePartRequest, context: grpc.aio.ServicerContext
    ) -> epcis_pb2.CaptureJob:
        self._services.saw(context, "AddCapturePart", request)
        return epcis_pb2.CaptureJob(job_id=request.job_id, parts=1, size=len(request.chunk))


class _Crops(crops_pb2_grpc.CropCommandServiceServicer):
    def __init__(self, services: Services) -> None:
        self._services = services

    async def MintLot(self, request: crops_pb2.MintLotRequest, context: Any) -> crops_pb2.Lot:
        self._services.saw(context, "MintLot", request)
        return crops_pb2.Lot(lot_code=request.lot_code, quantity=request.quantity)

    async def TransferLot(self, request: crops_pb2.TransferLotRequest, context: Any) -> crops_pb2.Lot:
        self._services.saw(context, "TransferLot", request)
        return crops_pb2.Lot(lot_id=request.lot_id, owner_id=request.new_owner_id)


class _Trace(trace_pb2_grpc.TraceServiceServicer):
    def __init__(self, services: Services) -> None:
        self._services = services

    async def ExportTraceability(
        self, request: findings_pb2.ExportTraceabilityRequest, context: Any
    ) -> AsyncIterator[HttpBody]:
        self._services.saw(context, "ExportTraceability", request)
        if MISSING in request.lot_ids:
            await fail(context, grpc.StatusCode.NOT_FOUND, "LOT_NOT_FOUND", "There is no such lot.")
        await context.send_initial_metadata((("content-disposition", 'attachment; filename="t.csv"'),))
        for piece in (b"", b"tlc,quantity\r\n", b"", b"a,1\r\n" * 50_000):
            yield HttpBody(content_type="text/csv; charset=utf-8", data=piece)


class _Users(users_pb2_grpc.UserServiceServicer):
    def __init__(self, services: Services) -> None:
        self._services = services

    async def GetMe(self, request: Any, context: Any) -> users_pb2.User:
        self._services.saw(context, "GetMe", request)
        return users_pb2.User(user_id="me")

    async def UpdateUser(self, request: users_pb2.UpdateUserRequest, context: Any) -> users_pb2.User:
        self._services.saw(context, "UpdateUser", request)
        return request.user
