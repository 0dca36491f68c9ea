"""Messages as data: what is sent, to whom it may be sent, and which facts it needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from string import Template as Text

from chassis.errors import InvalidArgument, Violation


class Category(StrEnum):
    """Which preference decides; TRANSACTIONAL ones are always sent."""

    TRANSACTIONAL = "TRANSACTIONAL"
    ORDER_UPDATE = "ORDER_UPDATE"
    MARKETING = "MARKETING"


NAME = "display_name"
"""The placeholder for the person's name, which is filled in when the message is sent."""


@dataclass(frozen=True, slots=True)
class Template:
    """A message with $placeholders.

    Args:
        subject: must not name anybody: the log keeps it.
        text: may have `NAME` besides the parameters.
    """

    category: Category
    subject: str
    text: str

    def needed(self, parameters: Mapping[str, str]) -> dict[str, str]:
        """Those of the parameters that the template uses.

        Raises:
            InvalidArgument: PARAMETER_MISSING.
        """
        names = {*Text(self.subject).get_identifiers(), *Text(self.text).get_identifiers()} - {NAME}
        for name in sorted(names - parameters.keys()):
            raise InvalidArgument(
                "PARAMETER_MISSING",
                f"the template needs the parameter {name}",
                violations=(Violation(f"parameters.{name}", "is missing"),),
            )
        return {name: parameters[name] for name in sorted(names)}

    def subject_with(self, parameters: Mapping[str, str]) -> str:
        """The subject, filled in."""
        # A line break in a header would let a parameter add headers of its own.
        return Text(self.subject).substitute(
            {name: " ".join(value.split()) for name, value in parameters.items()}
        )

    def text_with(self, parameters: Mapping[str, str], display_name: str) -> str:
        """The text, filled in."""
        return Text(self.text).substitute({**parameters, NAME: display_name})


TEMPLATES: Mapping[str, Template] = {
    "welcome": Template(
        Category.TRANSACTIONAL,
        "Welcome to GreenLedger",
        "Hello $display_name,\n\nyour GreenLedger account is ready.\n",
    ),
    "lot-transferred": Template(
        Category.TRANSACTIONAL,
        "Lot $lot_code has a new owner",
        "Lot $lot_code was transferred.\n\nFrom: $from\nTo: $to\n",
    ),
    "order-fulfilled": Template(
        Category.ORDER_UPDATE,
        "Your order $order_id",
        "Your order $order_id is paid and on its way. Total: $total.\n",
    ),
    "order-failed": Template(
        Category.ORDER_UPDATE,
        "Your order $order_id could not be completed",
        "Your order $order_id could not be completed ($reason). Nothing is reserved or charged.\n",
    ),
    "payment-refunded": Template(
        Category.TRANSACTIONAL,
        "Refund for your order $order_id",
        "We have given back $amount for your order $order_id.\n",
    ),
    "market-news": Template(
        Category.MARKETING,
        "News from the market",
        "Hello $display_name,\n\n$title\n\n$message\n\nYou subscribed to this product or grower.\n",
    ),
    "order-recalled": Template(
        Category.TRANSACTIONAL,
        "Your order $order_id is part of a recall",
        "Hello $display_name,\n\na recall has reached one more order of yours.\n\n$line\n",
    ),
    "recall": Template(
        Category.TRANSACTIONAL,
        "Recall: goods that reached you must not be used",
        "Hello $display_name,\n\ngoods that reached you are recalled.\n\n$lines\n\n"
        "Whatever else of yours it reaches is dealt with in the same way; GreenLedger shows it.\n",
    ),
}


def template(name: str) -> Template:
    """A template by name.

    Raises:
        InvalidArgument: TEMPLATE_UNKNOWN.
    """
    try:
        return TEMPLATES[name]
    except KeyError:
        raise InvalidArgument(
            "TEMPLATE_UNKNOWN",
            f"there is no template {name!r}; choose from {', '.join(sorted(TEMPLATES))}",
            violations=(Violation("template", "is not known"),),
        ) from None
