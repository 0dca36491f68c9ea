"""Where the objects of notifications meet."""

from datetime import timedelta

from chassis.background import Every
from chassis.runtime import Runtime
from chassis.service import Service, Servicer
from chassis.settings import SettingsError
from chassis.wakeup import Wakeup
from greenledger.notifications.v1 import notifications_pb2_grpc
from services.notifications.adapters.clients import UsersClient
from services.notifications.adapters.db import PostgresNotifications, PostgresVenueOwners
from services.notifications.adapters.grpc import MailboxServicer, NotificationServicer
from services.notifications.adapters.kafka import NotificationEvents, Subscriptions
from services.notifications.adapters.mailbox import Maildir
from services.notifications.adapters.recalls import recall_subscriptions
from services.notifications.adapters.smtp import SmtpMail
from services.notifications.application.deliver import DeliverNotifications
from services.notifications.application.queries import MailboxQueries, NotificationQueries
from services.notifications.application.schedule import ScheduleNotification
from services.notifications.application.tell_of_recall import TellOfRecall

_POLL = timedelta(milliseconds=500)


def wire(runtime: Runtime) -> Service:
    """The service on a runtime.

    Raises:
        SettingsError: no mail server is given.
    """
    database, clock, settings = runtime.database, runtime.clock, runtime.settings
    if not settings.smtp_url:
        raise SettingsError("GREENLEDGER_SMTP_URL is not set; notifications cannot send without it")
    notifications = PostgresNotifications(database)
    wakeup = Wakeup()

    def wake() -> None:
        database.after_commit(wakeup.notify)

    schedule = ScheduleNotification(notifications, clock, runtime.ids, wake)
    tell = TellOfRecall(notifications, PostgresVenueOwners(database), schedule, clock, runtime.ids, wake)
    deliver = DeliverNotifications(
        database,
        notifications,
        UsersClient(runtime.channels.get("users")),
        SmtpMail(settings.smtp_url),
        NotificationEvents(database, runtime.outbox),
        clock,
    )
    mailbox = MailboxQueries(Maildir(settings.mailbox_dir) if settings.mailbox_dir else None)
    return Service(
        servicers=[
            Servicer(
                "greenledger.notifications.v1.NotificationService",
                notifications_pb2_grpc.add_NotificationServiceServicer_to_server,
                NotificationServicer(schedule, NotificationQueries(notifications), runtime.page_tokens),
            ),
            Servicer(
                "greenledger.notifications.v1.MailboxService",
                notifications_pb2_grpc.add_MailboxServiceServicer_to_server,
                MailboxServicer(mailbox, runtime.page_tokens),
            ),
        ],
        subscriptions=[*Subscriptions(notifications, schedule).all(), *recall_subscriptions(tell)],
        background=[Every("notifications.delivery", deliver, _POLL, wakeup)],
    )
