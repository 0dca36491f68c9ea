"""UserService: decode, call the use case, encode."""

from typing import Any

import grpc.aio
from google.protobuf.empty_pb2 import Empty

from chassis.context import caller
from chassis.paging import PageTokens, page_size
from greenledger.users.v1 import users_pb2 as pb
from greenledger.users.v1 import users_pb2_grpc
from services.users.adapters.codec import change_from_proto, registration_from_proto, user_to_proto
from services.users.application.profiles import DeleteUser, ProfileQueries, UpdateUser
from services.users.application.register import Register

Context = grpc.aio.ServicerContext[Any, Any]


class UserServicer(users_pb2_grpc.UserServiceServicer):
    """The RPCs of users."""

    def __init__(
        self,
        register: Register,
        queries: ProfileQueries,
        update: UpdateUser,
        delete: DeleteUser,
        page_tokens: PageTokens,
    ) -> None:
        self._register = register
        self._queries = queries
        self._update = update
        self._delete = delete
        self._page_tokens = page_tokens

    async def CreateUser(self, request: pb.CreateUserRequest, context: Context) -> pb.User:
        return user_to_proto(await self._register(registration_from_proto(request), request.password))

    async def GetUser(self, request: pb.GetUserRequest, context: Context) -> pb.User:
        return user_to_proto(await self._queries.get(request.user_id.lower(), caller()))

    async def GetMe(self, request: pb.GetMeRequest, context: Context) -> pb.User:
        return user_to_proto(await self._queries.me(caller()))

    async def ListUsers(self, request: pb.ListUsersRequest, context: Context) -> pb.ListUsersResponse:
        size = page_size(request.page_size)
        query = {"method": "ListUsers", "role": request.role}
        cursor = self._page_tokens.decode(request.page_token, query)
        before = cursor["before"] if cursor else None
        found = await self._queries.page(request.role or None, before, size + 1)
        page, token = self._page_tokens.cut(found, size, lambda last: {"before": last.user_id}, query)
        return pb.ListUsersResponse(users=map(user_to_proto, page), next_page_token=token)

    async def UpdateUser(self, request: pb.UpdateUserRequest, context: Context) -> pb.User:
        user_id = request.user.user_id.lower()
        change = change_from_proto(request.user, request.update_mask.paths)
        return user_to_proto(await self._update(user_id, change, request.user.etag, caller()))

    async def DeleteUser(self, request: pb.DeleteUserRequest, context: Context) -> Empty:
        await self._delete(request.user_id.lower(), request.etag, caller())
        return Empty()
