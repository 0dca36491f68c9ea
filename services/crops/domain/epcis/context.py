"""Prefixes of a JSON-LD `@context`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

STANDARD: Final[Mapping[str, str]] = MappingProxyType(
    {
        "epcis": "https://ref.gs1.org/epcis/",
        "cbv": "https://ref.gs1.org/cbv/",
        "cbvmda": "urn:epcglobal:cbv:mda:",
        "gs1": "https://gs1.org/voc/",
        "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
        "owl": "http://www.w3.org/2002/07/owl#",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
        "dcterms": "http://purl.org/dc/terms/",
    }
)
"""Prefixes of the EPCIS context itself; a document cannot redefine them (they are @protected)."""

GS1_CONTEXT: Final = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
_CHAIN: Final = 5


@dataclass(frozen=True, slots=True)
class Context:
    """The prefixes that hold in a document or an event.

    Remote contexts are never fetched: apart from the standard prefixes, only those that the document
    itself writes out are known. Source: JSON-LD 1.1 section 4.4, EPCIS 2.0 section 10.1.
    """

    prefixes: Mapping[str, str] = field(default_factory=dict)

    def and_of(self, value: Any) -> "Context":
        """This context with the prefixes of another `@context` value (string, object or list) added."""
        added: dict[str, str] = {}
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Mapping):
                added.update(_prefixes(item))
        return Context({**self.prefixes, **added}) if added else self

    def expand(self, text: str) -> str:
        """A CURIE as a full URI; any other text unchanged."""
        return "".join(self.split(text))

    def split(self, text: str) -> tuple[str, str]:
        """Namespace and local name of a CURIE; ("", text) when its prefix is not known."""
        local = text
        namespace = ""
        for _ in range(_CHAIN):
            prefix, colon, rest = (namespace or local).partition(":")
            known = STANDARD.get(prefix) or self.prefixes.get(prefix)
            if not colon or known is None or rest.startswith("//"):
                break
            namespace, local = (known + rest, local) if namespace else (known, rest)
        return namespace, local


NO_CONTEXT: Final = Context()


def _prefixes(item: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in item.items():
        uri = value.get("@id") if isinstance(value, Mapping) else value
        if isinstance(uri, str) and not name.startswith("@"):
            found[name] = uri
    return found
