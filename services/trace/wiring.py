"""Where the objects of trace meet."""

from chassis.runtime import Runtime
from chassis.service import Service, Servicer
from greenledger.trace.v1 import trace_pb2_grpc
from services.trace.adapters.db import PostgresGraphReader
from services.trace.adapters.graph_writer import PostgresGraphWriter
from services.trace.adapters.grpc import TraceServicer
from services.trace.adapters.journal_reader import PostgresJournal
from services.trace.adapters.kafka import subscriptions
from services.trace.adapters.scope import PostgresScopeReader
from services.trace.application.cold_chain import ColdChain
from services.trace.application.export_records import ExportRecords
from services.trace.application.find_gaps import FindGaps
from services.trace.application.learn import Learn
from services.trace.application.mass_balance import MassBalances
from services.trace.application.recall_scope import RecallScopes
from services.trace.application.trace_goods import TraceGoods


def wire(runtime: Runtime) -> Service:
    """The service on a runtime."""
    learn = Learn(PostgresGraphWriter(runtime.database))
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
            )
        ],
        subscriptions=subscriptions(learn),
    )
