"""Where the objects of trace meet."""

from datetime import timedelta

from chassis.background import Every
from chassis.runtime import Runtime
from chassis.service import Service, Servicer
from chassis.wakeup import Watchers
from greenledger.trace.v1 import recall_pb2_grpc, trace_pb2_grpc
from services.trace.adapters.db import PostgresGraphReader
from services.trace.adapters.graph_writer import PostgresGraphWriter
from services.trace.adapters.grpc import TraceServicer
from services.trace.adapters.journal_reader import PostgresJournal
from services.trace.adapters.kafka import subscriptions
from services.trace.adapters.recall_alarm import RecallAlarm
from services.trace.adapters.recall_db import PostgresRecallReader
from services.trace.adapters.recall_grpc import RecallServicer
from services.trace.adapters.recall_kafka import with_recalls
from services.trace.adapters.recall_settings import deadlines_from_environment
from services.trace.adapters.recall_writer import PostgresRecallWriter
from services.trace.adapters.scope import PostgresScopeReader
from services.trace.application.cold_chain import ColdChain
from services.trace.application.export_records import ExportRecords
from services.trace.application.find_gaps import FindGaps
from services.trace.application.find_stalled import FindStalledRecalls
from services.trace.application.learn import Learn
from services.trace.application.mass_balance import MassBalances
from services.trace.application.recall_scope import RecallScopes
from services.trace.application.recalls import Recalls
from services.trace.application.trace_goods import TraceGoods

_LOOK = timedelta(seconds=15)


def wire(runtime: Runtime) -> Service:
    """The service on a runtime."""
    learn = Learn(PostgresGraphWriter(runtime.database))
    news = Watchers()
    reader = PostgresRecallReader(runtime.database)
    recalls = Recalls(reader, news, deadlines_from_environment(), runtime.clock)
    stalled = FindStalledRecalls(recalls, reader, RecallAlarm(), runtime.clock)
    journal = PostgresJournal(runtime.database)
    return Service(
        servicers=[
            Servicer(
                "greenledger.trace.v1.TraceService",
                trace_pb2_grpc.add_TraceServiceServicer_to_server,
                TraceServicer(
                    TraceGoods(PostgresGraphReader(runtime.database)),
                    RecallScopes(PostgresScopeReader(runtime.database)),
                    runtime.page_tokens,
                    MassBalances(journal),
                    ColdChain(journal),
                    FindGaps(journal, runtime.clock),
                    ExportRecords(journal),
                ),
            ),
            Servicer(
                "greenledger.trace.v1.RecallService",
                recall_pb2_grpc.add_RecallServiceServicer_to_server,
                RecallServicer(recalls, runtime.page_tokens),
            ),
        ],
        subscriptions=with_recalls(subscriptions(learn), PostgresRecallWriter(runtime.database, news)),
        background=[Every("trace.stalled_recalls", stalled, _LOOK)],
    )
