"""Where the objects of users meet."""

from datetime import timedelta

from chassis.background import Every
from chassis.runtime import Runtime
from chassis.service import Service, Servicer
from chassis.wakeup import Watchers
from greenledger.users.v1 import users_pb2_grpc
from services.users.adapters.clients import AuthClient, NotificationsClient
from services.users.adapters.db import PostgresUsers
from services.users.adapters.grpc import UserServicer
from services.users.adapters.kafka import UserEvents
from services.users.adapters.sagas import EngineRegistrations
from services.users.application.housekeeping import ForgetFailedRegistrations
from services.users.application.profiles import DeleteUser, ProfileQueries, UpdateUser
from services.users.application.register import Register
from services.users.application.registration_saga import RegistrationSteps


def wire(runtime: Runtime) -> Service:
    """The service on a runtime."""
    database, clock = runtime.database, runtime.clock
    changes = Watchers()
    users = PostgresUsers(database, changes)
    events = UserEvents(database, runtime.outbox)
    auth = AuthClient(runtime.channels.get("auth"))
    notifications = NotificationsClient(runtime.channels.get("notifications"))
    engine = runtime.saga_engine([RegistrationSteps(users, auth, notifications, events, clock).saga()])
    sagas = EngineRegistrations(database, engine)
    servicer = UserServicer(
        Register(database, users, changes, auth, sagas, clock, runtime.ids),
        ProfileQueries(users),
        UpdateUser(database, users, events, clock),
        DeleteUser(database, users, events, clock),
        runtime.page_tokens,
    )
    return Service(
        servicers=[
            Servicer(
                "greenledger.users.v1.UserService",
                users_pb2_grpc.add_UserServiceServicer_to_server,
                servicer,
            )
        ],
        sagas=engine,
        background=[Every("users.purge", ForgetFailedRegistrations(users, clock), timedelta(hours=1))],
    )
