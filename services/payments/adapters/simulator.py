"""The built-in payment provider: a simulator with documented magic amounts.

It keeps its own books in a table that nothing else reads or writes, each call in its own transaction,
as a provider outside the process would. An amount in minor units decides how it behaves, whatever
the currency:

| amount | behaviour |
| --- | --- |
| 66.66 | declined, code `insufficient_funds` |
| 77.77 | the authorization is never answered and never made |
| 88.88 | the first authorization is made but answered too late; asked again it says so |
| 99.99 | the first capture is made but answered too late; asked again it says so |

A payment method is accepted when it begins with `pm_`; `pm_declined` is always declined, code
`card_declined`.
"""

import asyncio
from datetime import timedelta
from typing import Final, Never

from chassis.database import Database
from chassis.money import Money
from services.payments.application.ports import Approved, ProviderTimeout, Refused

DECLINED_MINOR: Final = 66_66
UNANSWERED_MINOR: Final = 77_77
LATE_AUTHORIZATION_MINOR: Final = 88_88
LATE_CAPTURE_MINOR: Final = 99_99


class SimulatedProvider:
    """Implements `Provider`.

    Args:
        database: where its books are.
        timeout: how long a caller waits for an answer that does not come. Default 1.5 s: less than the 2 s
            after which callers of payments give an attempt up, so that they are told why.
    """

    def __init__(self, database: Database, timeout: timedelta = timedelta(seconds=1.5)) -> None:
        self._database = database
        self._timeout = timeout

    def accepts(self, method: str) -> bool:
        return method.startswith("pm_")

    async def authorize(self, key: str, amount: Money, method: str) -> Approved | Refused:
        if amount.minor == UNANSWERED_MINOR:
            await self._no_answer()
        code = "card_declined" if method == "pm_declined" else ""
        if amount.minor == DECLINED_MINOR:
            code = "insufficient_funds"
        first = await self._database.fetchval(
            """
            INSERT INTO simulated_charge (key, amount_minor, currency, state, decline_code)
            VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING true
            """,
            key,
            amount.minor,
            amount.currency,
            "DECLINED" if code else "AUTHORIZED",
            code,
        )
        if first and amount.minor == LATE_AUTHORIZATION_MINOR:
            await self._no_answer()
        row = await self._database.fetchrow("SELECT * FROM simulated_charge WHERE key = $1", key)
        assert row is not None
        if row["state"] == "DECLINED":
            return Refused(row["decline_code"])
        return Refused("voided") if row["state"] == "VOIDED" else Approved()

    async def capture(self, key: str) -> None:
        late = await self._database.fetchval(
            """
            UPDATE simulated_charge SET state = 'CAPTURED', captured_minor = amount_minor
            WHERE key = $1 AND state = 'AUTHORIZED' RETURNING amount_minor = $2
            """,
            key,
            LATE_CAPTURE_MINOR,
        )
        if late:
            await self._no_answer()
        await self._ensure(key, "CAPTURED")

    async def void(self, key: str) -> None:
        await self._database.execute(
            """
            INSERT INTO simulated_charge (key, amount_minor, currency, state, decline_code)
            VALUES ($1, 0, 'XXX', 'VOIDED', '')
            ON CONFLICT (key) DO UPDATE SET state = 'VOIDED' WHERE simulated_charge.state = 'AUTHORIZED'
            """,
            key,
        )
        await self._ensure(key, "VOIDED", "DECLINED")

    async def refund(self, key: str, refund_key: str, amount: Money) -> None:
        await self._database.execute(
            """
            WITH fresh AS (
                INSERT INTO simulated_refund (refund_key, key, amount_minor) VALUES ($2, $1, $3)
                ON CONFLICT DO NOTHING RETURNING amount_minor
            )
            UPDATE simulated_charge SET refunded_minor = refunded_minor + fresh.amount_minor
            FROM fresh WHERE key = $1
            """,
            key,
            refund_key,
            amount.minor,
        )

    async def _ensure(self, key: str, *states: str) -> None:
        state = await self._database.fetchval("SELECT state FROM simulated_charge WHERE key = $1", key)
        if state not in states:
            raise LookupError(f"the books have charge {key} as {state}, not as {' or '.join(states)}")

    async def _no_answer(self) -> Never:
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                await asyncio.Event().wait()
        except TimeoutError:
            raise ProviderTimeout from None
        raise AssertionError("nobody sets this event")
