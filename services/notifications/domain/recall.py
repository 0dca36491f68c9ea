"""What a recall means to the people whom it reaches, one line for each thing of theirs."""

TEMPLATE = "recall"
LATE_TEMPLATE = "order-recalled"
"""For an order of which is heard when the message of its recall has gone out."""
MOST_TEXT = 4000
"""Characters of one message's lines; what is beyond them is only said to exist."""
MORE = "- There is more; your orders, lots and stock in GreenLedger show it."


def source(recall_id: str) -> str:
    """What causes the messages of a recall."""
    return f"recall/{recall_id}"


def order_served(order_id: str, refunded: str) -> str:
    """To a guest whose goods had left the stock.

    Args:
        refunded: an amount for people, empty when nothing was given back.
    """
    return f"- Your order {order_id} was made of recalled goods. Do not eat what is left. {_money(refunded)}"


def order_stopped(order_id: str, refunded: str) -> str:
    """To a guest whose order was stopped before it was served."""
    return f"- Your order {order_id} was stopped, as its goods are recalled. {_money(refunded)}"


def stock_quarantined(venue_id: str, lot_id: str) -> str:
    """To a venue's owner."""
    return (
        f"- Stock of lot {lot_id} at your venue {venue_id} is in quarantine and cannot be sold. Set it "
        "aside, and look at what was made of it."
    )


def lot_recalled(lot_id: str, lot_code: str, reason: str) -> str:
    """To an owner or grower of a lot."""
    name = f"{lot_code} ({lot_id})" if lot_code else lot_id
    return f"- Lot {name} is recalled: {reason} Set it aside; it must not be sold or served."


def joined(lines: str, line: str) -> str:
    """The lines of a message with one more, as far as there is room."""
    if line in lines.split("\n") or lines.endswith(MORE):
        return lines
    return f"{lines}\n{line if len(lines) + len(line) <= MOST_TEXT else MORE}"


def _money(refunded: str) -> str:
    return f"We have given back {refunded}." if refunded else "Nothing was charged."
